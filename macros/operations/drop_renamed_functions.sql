{#- Drop functions that an earlier version of the project created under other names.
    This runs last, after the models are deployed: if that fails, the workers of the
    earlier version still find the functions that they call. -#}
{% macro drop_renamed_functions(results) %}
    {%- if execute and adapter.type() == 'postgres' and flags.WHICH in ['run', 'build']
        and not results | selectattr('status', 'in', ['error', 'fail', 'runtime error', 'skipped']) | list -%}
        drop function if exists {{ maintenance_schema() }}.serialise();
        drop function if exists {{ maintenance_schema() }}.alone(text);
    {%- endif -%}
{% endmacro %}
