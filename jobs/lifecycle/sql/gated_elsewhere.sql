/* Gated elsewhere: whether the instances that ask may have job j, as in `elsewhere.sql`. */
COALESCE(j.not_for_until <= now OR j.not_for <> ALL (asking), true)
