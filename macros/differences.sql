{#- Return the end of a data test that compares two CTEs of it, `actual` and `expected`:
    it selects the rows that are in only one of them, counting duplicates. If both hold
    the same rows, the test passes. -#}
{% macro differences() %}
missing as (
    select * from expected
    {{ except_all() }}
    select * from actual
),

surplus as (
    select * from actual
    {{ except_all() }}
    select * from expected
)

select
    'missing' as problem,
    missing.*
from missing
union all
select
    'surplus' as problem,
    surplus.*
from surplus
{% endmacro %}
