"""Release patterns: how often leases are returned, by whom, after how long, and which bots, kinds or times stand out.

A lease is returned if it ends without a result: released by an operator, expired by the sweep, or handed back by its
bot. `params`: the page's parameters. `report`: the data of the page. `samples`: returned leases read one by one.
`conclusions`: comparisons and their wording. `outliers`: the statistics. The last two are pure.
"""
