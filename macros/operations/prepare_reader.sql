{#- The dashboards' role, made where it is missing, and let into the schema. Whoever
    may log in by it is for the engine's administrator to say. -#}
{% macro prepare_reader() %}
    {%- if execute -%}{{- adapter.dispatch('prepare_reader')() -}}{%- endif -%}
{% endmacro %}

{% macro postgres__prepare_reader() %}
{% set role = adapter.quote(reader()) %}
do $$
begin
    if to_regrole('{{ role }}') is null then
        create role {{ role }} nologin;
    end if;
exception when insufficient_privilege then
    raise exception 'the role % is missing, and % may not create it',
        '{{ role }}', current_user
        using hint = 'create it, or have them granted createrole';
end
$$;
grant usage on schema {{ adapter.quote(target.schema) }} to {{ role }};
{% endmacro %}

{% macro materialize__prepare_reader() %}
    {%- set role = adapter.quote(reader()) -%}
    {%- if not run_query(
        "select 1 from mz_catalog.mz_roles where name = '" ~ reader() ~ "'"
    ).rows -%}
        {%- do run_query('create role ' ~ role) -%}
    {%- endif -%}
    {#- Serializable: a dashboard would rather see what there is than wait. #}
    {%- for setting, value in {
        'cluster': serving_cluster(),
        'statement_timeout': '5s',
        'transaction_isolation': 'serializable',
    }.items() -%}
        {%- do run_query(
            'alter role ' ~ role ~ ' set ' ~ setting ~ " = '" ~ value ~ "'"
        ) -%}
    {%- endfor -%}
    {#- Anyone may use quickstart, and only its owner may say so. #}
    {%- if not run_query(
        "select has_cluster_privilege('" ~ reader() ~ "', '" ~ serving_cluster()
        ~ "', 'USAGE')"
    ).rows[0][0] -%}
        {%- do run_query(
            'grant usage on cluster ' ~ serving_cluster() ~ ' to ' ~ role
        ) -%}
    {%- endif -%}
    {%- do run_query('grant usage on schema ' ~ target.schema ~ ' to ' ~ role) -%}
{% endmacro %}

{% macro risingwave__prepare_reader() %}
    {%- set role = adapter.quote(reader()) -%}
    {%- if not run_query(
        "select 1 from rw_catalog.rw_users where name = '" ~ reader() ~ "'"
    ).rows -%}
        {%- do run_query('create user ' ~ role) -%}
    {%- endif -%}
    {%- do run_query('grant usage on schema ' ~ models_schema() ~ ' to ' ~ role) -%}
{% endmacro %}
