{#- Create the view `failing_tests` of the data tests that the engine keeps up to date.
    This runs at the end of every command. On Materialize, `dbt test --store-failures`
    stores the tests, on RisingWave `dbt test --vars 'continuous_tests: true'`. -#}
{% macro note_failing_tests() %}
    {%- if execute and flags.WHICH in ('build', 'test') -%}
        {{- adapter.dispatch('note_failing_tests')() -}}
    {%- endif -%}
{% endmacro %}

{% macro default__note_failing_tests() %}{% endmacro %}

{% macro materialize__note_failing_tests() %}
    {%- set tests = stored_tests(run_query(
        "select schemas.name || '.' || objects.name from mz_catalog.mz_objects as objects"
        " inner join mz_catalog.mz_schemas as schemas on objects.schema_id = schemas.id"
    )) -%}
    {%- if tests -%}
        {%- set view = target.schema ~ '.failing_tests' -%}
        {%- do run_query('create or replace view ' ~ view ~ ' as ' ~ tests) -%}
        {%- do run_query(
            'create index in cluster ' ~ serving_cluster() ~ ' on ' ~ view ~ ' (test)'
        ) -%}
        {%- do run_query(
            'grant select on ' ~ view ~ ' to ' ~ adapter.quote(reader())
        ) -%}
    {%- endif -%}
{% endmacro %}

{% macro risingwave__note_failing_tests() %}
    {%- set tests = stored_tests(run_query(
        "select schemas.name || '.' || views.name"
        " from rw_catalog.rw_materialized_views as views"
        " inner join rw_catalog.rw_schemas as schemas on views.schema_id = schemas.id"
    )) -%}
    {%- if tests -%}
        {%- set view = target.schema ~ '.failing_tests' -%}
        {%- do run_query('drop view if exists ' ~ view) -%}
        {%- do run_query('create view ' ~ view ~ ' as ' ~ tests) -%}
        {%- do run_query(
            'grant select on view ' ~ view ~ ' to ' ~ adapter.quote(reader())
        ) -%}
    {%- endif -%}
{% endmacro %}


{#- Return a query of the tests that fail now, or none if no test is stored. A
    deployment drops a test's relation together with the models that it tests, so only
    tests whose relation is among the existing ones, `there`, are included. -#}
{% macro stored_tests(there) %}
    {%- set names = there.columns[0].values() -%}
    {%- set selects = [] -%}
    {%- for test in graph.nodes.values() | selectattr('resource_type', 'equalto', 'test')
            if test.schema ~ '.' ~ test.alias in names -%}
        {%- set relation = api.Relation.create(
            database=test.database, schema=test.schema, identifier=test.alias
        ) -%}
        {%- do selects.append(
            'select ' ~ dbt.string_literal(test.name)
            ~ '::text as test, count(*) as failures from ' ~ relation
        ) -%}
    {%- endfor -%}
    {%- if selects -%}
        {{ return(
            'select * from (' ~ selects | join(' union all ')
            ~ ') as tests where failures > 0'
        ) }}
    {%- endif -%}
    {{ return(none) }}
{% endmacro %}
