"""Values that no page expects in an address or a form."""

#: As they stand in an address: percent-encoded where they are not plain.
FEW = ("", "%00", "zz", "-1", "1" + "0" * 30, "%ED%A0%80", "9999-12-31")
ODD = (
    *FEW, "a%00b", "1" * 5000, "1e999", "%FF%FE", "0001-01-01", "9999-12-31T23:59:59Z", "[]", "%27%22%3C",
    "%F0%9F%98%80", "..%2F", "1,2,zz", "%D9%A1",
)  # fmt: skip
#: Look-ups that Django's fields know.
LOOK_UPS = (
    "exact", "iexact", "contains", "icontains", "in", "gt", "gte", "lt", "lte", "startswith", "istartswith", "endswith",
    "range", "date", "year", "month", "hour", "isnull", "regex", "iregex", "overlap", "contained_by", "len", "0",
    "has_key", "zz",
)  # fmt: skip
