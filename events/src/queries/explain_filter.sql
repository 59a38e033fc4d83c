-- explain_filter: say of each condition of a filter whether it holds for a payload.
select
  c.path as "path!",
  c.condition as "condition!",
  c.found,
  c.holds as "holds!"
from tidings.explain_filter($1, $2) c
