"""Release patterns: how often leases are given back, by whom, after how long, and what stands out.

`question` is what is asked, `answer` what the page shows, `handbacks` what is looked at one by one, `verdict` who is
compared with whom and what is said of it, `standing_out` the statistics. The last two are pure.
"""
