{#- Runs at the end of every command: where stored tests are kept up to date by the
    engine (`dbt test --store-failures`), makes `failing_tests` of them. -#}
{% macro note_failing_tests() %}
    {%- if execute and flags.WHICH in ('build', 'test') -%}
        {{- adapter.dispatch('note_failing_tests')() -}}
    {%- endif -%}
{% endmacro %}

{% macro default__note_failing_tests() %}{% endmacro %}

{% macro postgres__note_failing_tests() %}{% endmacro %}

{#- A test's relation goes with the models that it tests, so it is looked for. -#}
{% macro materialize__note_failing_tests() %}
    {%- set there = run_query(
        "select schemas.name || '.' || objects.name from mz_catalog.mz_objects as objects"
        " inner join mz_catalog.mz_schemas as schemas on objects.schema_id = schemas.id"
    ).columns[0].values() -%}
    {%- set selects = [] -%}
    {%- for test in graph.nodes.values() | selectattr('resource_type', 'equalto', 'test')
            if test.schema ~ '.' ~ test.alias in there -%}
        {%- set relation = api.Relation.create(
            database=test.database, schema=test.schema, identifier=test.alias
        ) -%}
        {%- do selects.append(
            'select ' ~ dbt.string_literal(test.name)
            ~ '::text as test, count(*) as failures from ' ~ relation
        ) -%}
    {%- endfor -%}
    {%- if selects -%}
        {%- set view = target.schema ~ '.failing_tests' -%}
        {%- do run_query(
            'create or replace view ' ~ view ~ ' as select * from ('
            ~ selects | join(' union all ') ~ ') as tests where failures > 0'
        ) -%}
        {%- do run_query(
            'create index in cluster ' ~ serving_cluster() ~ ' on ' ~ view ~ ' (test)'
        ) -%}
        {%- do run_query(
            'grant select on ' ~ view ~ ' to ' ~ adapter.quote(reader())
        ) -%}
    {%- endif -%}
{% endmacro %}
