-- Moment: format a time as in every response of the API.
CREATE OR REPLACE FUNCTION jobs_moment(at timestamptz) RETURNS text LANGUAGE sql STABLE
AS $function$
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$function$;
