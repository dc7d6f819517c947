-- By bot: the leases of each bot and kind that ended in a range: those that were returned in each way, and all.
SELECT bot, kind, {ways}, sum({ended})::bigint
FROM jobs_jobrollup
WHERE span = %(span)s AND start >= %(since)s AND start < %(until)s AND kind <> ''
GROUP BY bot, kind;
