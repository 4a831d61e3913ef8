{#- The triggers that keep a model: for each table that it reads and each operation
    a function and a trigger. Triggers of one table fire in the order of their
    names: those of models nearer to the sources come first, so that a model that
    a change reaches in two ways is computed last.
    Returns {functions: {name: statement}, triggers: {table: {name: statement}}}. -#}
{% macro maintaining_triggers(definition, expanded, columns, models) %}
    {% set functions = {} %}
    {% set triggers = {} %}
    {% set model_name = name_of_relation(definition.relation) %}
    {% set rank = '%03d' % rank_of_model(definition, models) %}
    {% set delta = {
        'per_row': per_row_delta, 'by_key': by_key_delta, 'aggregate': aggregate_delta,
    }[definition.kind] %}
    {% for table in expanded.reads %}
        {% set of_table = {} %}
        {% for operation in ['insert', 'update', 'delete'] %}
            {% set function = maintenance_schema() ~ '.' ~ adapter.quote(
                short_name(model_name ~ '_from_' ~ name_of_relation(table), operation)) %}
            {% do functions.update({function: trigger_function(
                function, definition, operation,
                delta(definition, expanded, columns, table, operation))}) %}
            {% set trigger = rank ~ '_' ~ short_name(model_name, operation, 59) %}
            {% set rows = {
                'insert': 'new table as new_rows',
                'update': 'old table as old_rows new table as new_rows',
                'delete': 'old table as old_rows',
            }[operation] %}
            {% do of_table.update({trigger:
                'create or replace trigger ' ~ adapter.quote(trigger) ~ ' after '
                ~ operation ~ ' on ' ~ table ~ ' referencing ' ~ rows
                ~ ' for each statement execute function ' ~ function ~ '();\n'
                ~ always(table, trigger)}) %}
        {% endfor %}
        {% if table not in models %}
            {% do of_table.update({'000_guard':
                'create or replace trigger "000_guard" before insert or update or delete'
                ~ ' or truncate on ' ~ table ~ ' for each statement execute function '
                ~ maintenance_schema() ~ '.guard();\n' ~ always(table, '000_guard')}) %}
            {% do of_table.update(replaying_trigger(table)) %}
        {% endif %}
        {% do triggers.update({table: of_table}) %}
    {% endfor %}
    {{ return({'functions': functions, 'triggers': triggers}) }}
{% endmacro %}


{#- PostgreSQL cuts identifiers at 63 bytes; two long ones must stay two. -#}
{% macro short_name(name, ending, limit=63) %}
    {%- set whole = name ~ '_' ~ ending -%}
    {{- return(whole if whole | length <= limit
        else name[:limit - 17 - ending | length] ~ '_' ~ local_md5(name)[:8] ~ '_' ~ ending) -}}
{% endmacro %}


{#- Its plans are made for the first batch and kept for all that follow, small or
    large, on tables that grow: only those by index and nested loop stay good. -#}
{% macro trigger_function(function, definition, operation, delta) %}
create or replace function {{ function }}() returns trigger
language plpgsql {{ as_owner() }}
{{- with_pinned_settings(delta) }}
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set random_page_cost = 1.1
set plan_cache_mode = force_generic_plan
as $maintain$
declare
    {%- for key in definition.config.unique_key %}
    touched_{{ loop.index }} {{ without_database(definition.relation) }}.{{ key }}%type[];
    {%- endfor %}
    {%- if definition.kind == 'aggregate' %}
    emptied boolean;
    {%- endif %}
begin
    if not exists (select from {{ 'old_rows' if operation == 'delete' else 'new_rows' }}) then
        return null;
    end if;
    {{ delta }}
    return null;
end
$maintain$;
{{ for_the_owner(function) }}
{% endmacro %}


{% macro names_of_triggers(triggers) %}
    {{ return(triggers.triggers.values() | map('list') | sum(start=[])) }}
{% endmacro %}


{#- Needs the model's row in the catalogue. -#}
{% macro install_triggers(definition, triggers) %}
    {% set statements = triggers.functions.values() | list %}
    {% for of_table in triggers.triggers.values() %}
        {% do statements.extend(of_table.values()) %}
    {% endfor %}
    {% do statements.append(remember_triggers(definition.relation, triggers.triggers)) %}
    {% do statements.append('select ' ~ maintenance_schema() ~ '.identify('
        ~ text_array(tables_of(definition, triggers)) ~ ')') %}
    {% do run_all(statements) %}
{% endmacro %}


{#- The triggers of functions that went out of use, or of other names than they have now:
    [{name, table}]. -#}
{% macro stale_triggers(functions, kept_functions, kept_names) %}
    {{ return(run_query(
        'select quote_ident(tgname) as name, tgrelid::regclass::text as "table"'
        ~ ' from unnest(' ~ text_array(functions) ~ ') as function'
        ~ ' inner join pg_trigger on tgfoid = to_regproc(function)'
        ~ ' where function <> all(' ~ text_array(kept_functions) ~ ')'
        ~ ' or tgname <> all(' ~ text_array(kept_names) ~ ')'
    ).rows) }}
{% endmacro %}


{#- Drops them, and the functions that went out of use. -#}
{% macro drop_stale_triggers(functions, kept_functions, kept_names) %}
    {% set statements = [] %}
    {% for trigger in stale_triggers(
        functions + (kept_functions | list), kept_functions, kept_names) %}
        {% do statements.append('drop trigger ' ~ trigger['name'] ~ ' on ' ~ trigger['table']) %}
    {% endfor %}
    {% for function in functions if function not in kept_functions %}
        {% do statements.append('drop function if exists ' ~ function ~ '()') %}
    {% endfor %}
    {% do run_all(statements) %}
{% endmacro %}
