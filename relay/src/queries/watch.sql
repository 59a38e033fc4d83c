-- watch: has anything changed that the relay keeps in memory, and what time is it?
select fingerprint as "fingerprint!", level as "level!", clock as "clock!" from tidings.watch_relay_v1()
