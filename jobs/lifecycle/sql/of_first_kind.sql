/* Of first kind: the same of a claim of one kind alone. */
j.kind_id = unpaused[1] AND j.kind_id BETWEEN unpaused[1] AND unpaused[1]
