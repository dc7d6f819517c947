/* Of kind: job j is of this kind. Once more as a range: so PostgreSQL believes that there are few, and takes the index
that begins with the kind, where it might read all pending jobs in the order of the other one to find that none is. */
j.kind_id = wanted AND j.kind_id BETWEEN wanted AND wanted
