-- Open gates: of these groups of kinds, call the function in functions/jobs_open.sql.
SELECT jobs_open(
    of_kinds => %(kinds)s::text[], of_groups => %(groups)s::text[],
    added => %(added)s::boolean[], ended => %(ended)s::boolean[]
)::text AS opened;
