{#- The end of a test: the rows that `actual` lacks of `expected`, and those that it
    has beyond them; both are CTEs of the test. None where they hold the same. -#}
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
