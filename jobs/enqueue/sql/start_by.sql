/* Start by: until when new job w of kind k must be begun. */
COALESCE(w.start_by, GREATEST({due}, statement_timestamp()) + k.drop_after)
