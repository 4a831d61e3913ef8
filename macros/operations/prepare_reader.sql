{#- Create the dashboards' role if it is missing, and let it use the schema. The
    engine's administrator decides who may log in with it. -#}
{% macro prepare_reader() %}
    {%- if execute -%}{{- adapter.dispatch('prepare_reader')() -}}{%- endif -%}
{% endmacro %}

{% macro default__prepare_reader() %}
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
    {#- Serializable: a dashboard prefers results that are slightly old to waiting for
        the newest ones. #}
    {%- for setting, value in {
        'cluster': serving_cluster(),
        'statement_timeout': '5s',
        'transaction_isolation': 'serializable',
    }.items() -%}
        {%- do run_query(
            'alter role ' ~ role ~ ' set ' ~ setting ~ " = '" ~ value ~ "'"
        ) -%}
    {%- endfor -%}
    {#- Everybody may use the cluster `quickstart`, and only its owner can grant that,
        so this grants it only if it is missing. #}
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
