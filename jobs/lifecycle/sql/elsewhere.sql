/* Elsewhere: whether these turns' instances may have job j: not while it is for another than one of them first. */
COALESCE(j.not_for_until <= statement_timestamp() OR j.not_for <> ALL (known.own_ids), true)
