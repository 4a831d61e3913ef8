{#- Create the roles of the workers that write to the pipeline, if they are missing, and
    let them call the functions that they need. firstclick.servers.roles has the same
    names. If a role is missing and dbt may not create it, that worker uses the owner's
    role. The streaming engines have no connector and no publisher: they read and write
    Kafka themselves. -#}
{% macro prepare_workers() %}
    {{- adapter.dispatch('prepare_workers')() -}}
{% endmacro %}

{% macro default__prepare_workers() %}
{% set maintenance = maintenance_schema() %}
{% for worker, functions in {
    'connector': ['try_singleton_lock(text)', 'analyze_tables()', 'lock_writers()'],
    'publisher': ['try_singleton_lock(text)'],
    'expire': ['lock_writers()'],
}.items() %}
{% set role = adapter.quote(role_of(worker)) %}
do $$
begin
    if to_regrole('{{ role }}') is null then
        create role {{ role }} nologin;
    end if;
    grant usage on schema {{ adapter.quote(target.schema) }} to {{ role }};
    grant usage on schema {{ maintenance }} to {{ role }};
    {%- for function in functions %}
    grant execute on function {{ maintenance }}.{{ function }} to {{ role }};
    {%- endfor %}
exception when insufficient_privilege then
    raise notice 'the role % may not be made by %', '{{ role }}', current_user;
end
$$;
{% endfor %}
{% endmacro %}

{% macro materialize__prepare_workers() %}{% endmacro %}

{% macro risingwave__prepare_workers() %}{% endmacro %}
