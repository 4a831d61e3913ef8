{#- The statements that carry a change into a model. All of them are made of the
    model's own SQL. -#}

{#- The rows that differ from what is stored, put in its place: a refresh. Keys are
    compared as records, in which nulls are equal and which can be hashed. -#}
{% macro replace_rows(definition, expanded, columns) %}
    {% set keys = definition.config['keys'] %}
    with computed as materialized (
{{ expanded.sql }}
    ),
    keyed as (
        select row({{ keys | join(', ') }}) as key from computed
    ),
    gone as (
        delete from {{ definition.relation }}
        where ctid = any(array(
            select stored.ctid
            from (
                select ctid, row({{ keys | join(', ') }}) as key
                from {{ definition.relation }}
            ) as stored
            left join keyed on stored.key = keyed.key
            where keyed.key is null
        ))
    )
    {{ upsert(definition, columns) }}
{% endmacro %}


{#- Inserts `computed`, or updates the rows of those keys that differ from it. -#}
{% macro upsert(definition, columns) %}
    {%- set keys = definition.config['keys'] -%}
    {%- set others = columns | map(attribute='name') | reject('in', keys) | list -%}
    insert into {{ definition.relation }} as stored
    select * from computed
    on conflict ({{ keys | join(', ') }})
    {%- if others %} do update set
        {%- for name in others %}
        {{ name }} = excluded.{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    where stored.* is distinct from excluded.*
    {%- else %} do nothing
    {%- endif %}
{% endmacro %}


{#- The rows that a statement changed, from the transition tables of its trigger. -#}
{% macro changed_rows(operation) %}
    {{- return({
        'insert': '(select * from new_rows)',
        'delete': '(select * from old_rows)',
        'update': '(select * from old_rows union all select * from new_rows)',
    }[operation]) -}}
{% endmacro %}


{#- map: the SQL over the changed rows alone. -#}
{% macro map_delta(definition, expanded, columns, table, operation) %}
    {% set keys = definition.config['keys'] %}
    {% set over = delta_over(expanded, table) %}
    with computed as materialized (
{{ over.replace('{changed}', '(select * from new_rows)' if operation != 'delete'
    else '(select * from old_rows where false)') }}
    )
    {%- if operation != 'insert' %},
    gone as (
        delete from {{ definition.relation }}
        where {{ key_is_in(keys,
            'select ' ~ keys | join(', ') ~ ' from (\n'
            ~ over.replace('{changed}', '(select * from old_rows)')
            ~ '\n) as before except select ' ~ keys | join(', ') ~ ' from computed') }}
    )
    {%- endif %}
    {{ upsert(definition, columns) }};
{% endmacro %}


{#- The model's SQL with `{changed}` in place of one table and nothing in place of
    the others: the parts of a union all add up. -#}
{% macro delta_over(expanded, table) %}
    {% set sql = namespace(text=expanded.sql) %}
    {% for other in expanded.reads if other != table %}
        {% set sql.text = sql.text.replace(other, '(select * from ' ~ other ~ ' where false)') %}
    {% endfor %}
    {{ return(sql.text.replace(table, '{changed}')) }}
{% endmacro %}


{#- A condition that an index on the keys serves, whatever the planner expects. -#}
{% macro key_is_in(keys, query) %}
    {%- if keys | length == 1 -%}
        {{ keys[0] }} = any(array({{ query }}))
    {%- else -%}
        ({{ keys | join(', ') }}) in ({{ query }})
    {%- endif -%}
{% endmacro %}


{#- recompute: the keys that the changed rows touch, then the SQL of those keys. -#}
{% macro recompute_delta(definition, expanded, columns, table, operation) %}
    {% set keys = definition.config['keys'] %}
    {% set touched = touched_keys(definition, expanded, table, changed_rows(operation)) %}
    for {{ touched_variables(keys) }} in
        select
        {%- for key in keys %} array_agg({{ key }}){{ ',' if not loop.last }}{% endfor %}
        from (
            select *, (row_number() over () - 1) / 10000 as chunk from (
{{ touched }}
            ) as touched
        ) as touched
        group by chunk
    loop
        if {% for key in keys -%}
            array_position(touched_{{ loop.index }}, null) is null
            {{- ' and ' if not loop.last }}
        {%- endfor %} then
            {{ recompute_keys(definition, expanded, columns, nulls=false) }}
        else
            {{ recompute_keys(definition, expanded, columns, nulls=true) }}
        end if;
    end loop;
{% endmacro %}


{% macro recompute_keys(definition, expanded, columns, nulls) %}
    {%- set keys = definition.config['keys'] -%}
    {%- set condition = touched_condition(keys, nulls) -%}
    with computed as materialized (
        select * from (
{{ expanded.sql }}
        ) as model
        where {{ condition }}
    ),
    gone as (
        delete from {{ definition.relation }} as model
        where {{ condition }}
            and ({{ key_is_in(keys,
                'select * from unnest(' ~ touched_variables(keys)
                ~ ') except select ' ~ keys | join(', ') ~ ' from computed')
                if not nulls else
                'not exists (select from computed where ' ~ same_keys(keys, 'computed') ~ ')' }})
    )
    {{ upsert(definition, columns) }};
{%- endmacro %}


{#- The keys of the rows that the changed rows of a table have to do with. -#}
{% macro touched_keys(definition, expanded, table, changed) %}
    {% set keys = definition.config['keys'] | join(', ') %}
    {% set read = expanded.reads[table] %}
    {% set by = maintained_list(
        definition.config.touched_by.get(name_of_relation(read.parent), [])) %}
    {% set changed_parent = read.sql.replace(table, changed) %}
    {% if not by %}
    select distinct {{ keys }} from (
{{ expanded.sql.replace(table, changed) }}
    ) as model
    {% elif by == definition.config['keys'] %}
    select distinct {{ keys }} from (
{{ changed_parent }}
    ) as changed
    {% else %}
    select {{ keys }} from {{ definition.relation }}
    where {{ key_is_in(by, 'select ' ~ by | join(', ') ~ ' from (\n' ~ changed_parent ~ '\n) as changed') }}
    {% endif %}
{% endmacro %}


{% macro touched_variables(keys) %}
    {%- for key in keys -%} touched_{{ loop.index }}{{ ', ' if not loop.last }} {%- endfor -%}
{% endmacro %}


{% macro touched_condition(keys, nulls) %}
    {%- if nulls -%}
        exists (
            select from unnest({{ touched_variables(keys) }}) as touched ({{ keys | join(', ') }})
            where {{ same_keys(keys, 'touched') }}
        )
    {%- elif keys | length == 1 -%}
        {{ keys[0] }} = any(touched_1)
    {%- else -%}
        ({{ keys | join(', ') }}) in (select * from unnest({{ touched_variables(keys) }}))
    {%- endif -%}
{% endmacro %}


{% macro same_keys(keys, other) %}
    {%- for key in keys -%}
        model.{{ key }} is not distinct from {{ other }}.{{ key }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{% endmacro %}


{#- accumulate: the sums of the changed rows, added to the stored ones. -#}
{% macro accumulate_delta(definition, expanded, columns, table, operation) %}
    {% set keys = definition.config['keys'] %}
    {% set sums = columns | rejectattr('name', 'in', keys) | list %}
    {% set over = delta_over(expanded, table) %}
    with computed as materialized (
        select
        {%- for column in columns %}
            {% if column.name in keys -%}
                {{ column.name }}
            {%- else -%}
                sum(sign * {{ column.name }})::{{ column.type }} as {{ column.name }}
            {%- endif %}
            {{- ',' if not loop.last }}
        {%- endfor %}
        from (
        {%- if operation != 'delete' %}
            select 1 as sign, added.* from (
{{ over.replace('{changed}', '(select * from new_rows)') }}
            ) as added
        {%- endif %}
        {%- if operation == 'update' %}
            union all
        {%- endif %}
        {%- if operation != 'insert' %}
            select -1 as sign, removed.* from (
{{ over.replace('{changed}', '(select * from old_rows)') }}
            ) as removed
        {%- endif %}
        ) as changes
        group by {{ keys | join(', ') }}
        having {% for column in sums -%}
            sum(sign * {{ column.name }}) <> 0{{ ' or ' if not loop.last }}
        {%- endfor %}
    ),
    added as (
        insert into {{ definition.relation }} as stored
        select * from computed
        on conflict ({{ keys | join(', ') }}) do update set
        {%- for column in sums %}
            {{ column.name }} = stored.{{ column.name }} + excluded.{{ column.name }}{{ ',' if not loop.last }}
        {%- endfor %}
        returning {{ definition.config.count }} = 0 as is_empty
    )
    select bool_or(is_empty) into emptied from added;
    if emptied then
        delete from {{ definition.relation }} where {{ definition.config.count }} = 0;
    end if;
{% endmacro %}
