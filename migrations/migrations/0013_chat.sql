-- Chat: subscribers of Slack, Teams and Discord can be added before a worker that knows them has started.
-- Who is affected: nobody. Locks: none that matter.

select tidings.make_group('slack', 16);
select tidings.make_group('teams', 16);
select tidings.make_group('discord', 16);
