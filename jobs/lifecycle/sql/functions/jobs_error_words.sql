-- Error words: the last line of an error without what differs from one failure to the next: addresses, what stands in
-- quotes, paths, ids and numbers. Errors with the same words are alike. An index has the result: whoever changes this
-- builds `job_failed_alike` again.
CREATE OR REPLACE FUNCTION jobs_error_words(error text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $function$
DECLARE
    line text := left(substring(btrim(right(error, 4000), E' \t\r\n') FROM '[^\n]*$'), 500);
BEGIN
    line := regexp_replace(line, '\m[[:alpha:]][\w+.-]*://\S+', '<url>', 'g');
    line := regexp_replace(line, '"[^"]*"|`[^`]*`', '"…"', 'g');
    line := regexp_replace(line, '(?<!\w)''[^'']*''(?!\w)', '"…"', 'g');
    line := regexp_replace(line, '(?<![\w<])(~|\.+|[[:alpha:]]:)?([/\\][\w.@+=-]+)+', '<path>', 'g');
    -- Ids: eight letters and digits and more, of which two are digits.
    line := regexp_replace(line, '\m(?=\w*\d\w*\d)\w{8,}\M(-\w+)*', '#', 'g');
    line := regexp_replace(line, '\d+([.,:]\d+)*', '#', 'g');
    RETURN left(btrim(regexp_replace(line, '\s+', ' ', 'g')), 300);
END
$function$;
