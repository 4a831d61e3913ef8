{#- The settings of a session that SQL's results depend on, with the values that models
    are computed with, whoever writes. Those that take long to set are among them where
    the SQL has words that feel them. -#}
{% macro pinned_settings(sql) %}
    {% set pinned = {
        'TimeZone': 'UTC',
        'DateStyle': 'ISO, MDY',
        'IntervalStyle': 'postgres',
        'extra_float_digits': '1',
        'bytea_output': 'hex',
        'array_nulls': 'on',
        'transform_null_equals': 'off',
        'standard_conforming_strings': 'on',
        'gin_fuzzy_search_limit': '0',
    } %}
    {% for pattern, settings in {
        '\\bto_(char|number|date|timestamp)\\b|\\bmoney\\b':
            {'lc_time': 'C', 'lc_numeric': 'C', 'lc_monetary': 'C'},
        '\\bxml': {'xmlbinary': 'base64', 'xmloption': 'content'},
        '\\bts_|tsvector|tsquery|@@': {'default_text_search_config': 'pg_catalog.simple'},
    }.items() if modules.re.search(pattern, sql, modules.re.IGNORECASE) %}
        {% do pinned.update(settings) %}
    {% endfor %}
    {{ return(pinned) }}
{% endmacro %}


{#- Of a function: what holds while it runs, and in what it sets off. -#}
{% macro with_pinned_settings(sql) -%}
    {%- for name, value in pinned_settings(sql).items() %}
set {{ name }} = '{{ value }}'
    {%- endfor %}
{%- endmacro %}


{#- A function that pins all of them until the transaction ends. -#}
{% macro prepare_pin() %}
create or replace function {{ maintenance_schema() }}.pin() returns void
language sql as $$
    select
    {%- for name, value in pinned_settings('to_char xml ts_').items() %}
        set_config('{{ name }}', '{{ value }}', true){{ ',' if not loop.last }}
    {%- endfor %}
$$;
{% endmacro %}


{#- The first statement of a transaction that changes models: waits for the other
    writers, and has what it computes be what the triggers compute. -#}
{% macro begin_maintenance() %}
    {% call statement('begin_maintenance', auto_begin=True) %}
        select {{ maintenance_schema() }}.lock_writers(), {{ maintenance_schema() }}.pin()
    {% endcall %}
{% endmacro %}
