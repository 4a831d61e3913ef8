{#- The statements that carry a change into a model. All of them are made of the
    model's own SQL. One that deletes and inserts is a delete with the insert in a CTE:
    the triggers of its deletions then fire first, and what moves to another key is gone
    from the models downstream before it is there again. -#}

{#- The rows that differ from what is stored, put in its place: a refresh. Keys are
    compared as records, in which nulls are equal and which can be hashed. -#}
{% macro replace_rows(definition, expanded, columns) %}
    {% set keys = definition.config.unique_key %}
    with computed as materialized (
{{ expanded.sql }}
    ),
    keyed as (
        select row({{ keys | join(', ') }}) as key, true as is_computed from computed
    ),
    put as (
        {{ upsert(definition, columns) }}
    )
    delete from {{ definition.relation }}
    where ctid = any(array(
        select stored.ctid
        from (
            select ctid, row({{ keys | join(', ') }}) as key
            from {{ definition.relation }}
        ) as stored
        left join keyed on stored.key = keyed.key
        where keyed.is_computed is null
    ))
{% endmacro %}


{#- Inserts `computed`, or updates the rows of those keys that differ from it. -#}
{% macro upsert(definition, columns) %}
    {%- set keys = definition.config.unique_key -%}
    {%- set others = columns | map(attribute='name') | reject('in', keys) | list -%}
    insert into {{ definition.relation }} as stored
    select * from computed
    on conflict ({{ indexed_keys(definition, columns) }})
    {%- if others %} do update set
        {%- for name in others %}
        {{ name }} = excluded.{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    where stored.* is distinct from excluded.*
    {%- else %} do nothing
    {%- endif %}
{% endmacro %}


{#- The keys as the unique index has them. Groups may be named by texts of any length,
    of which an index can't hold one of more than 2,700 bytes: it holds their hashes. -#}
{% macro indexed_keys(definition, columns) %}
    {%- set keys = definition.config.unique_key -%}
    {%- for column in columns if column.name in keys -%}
        {{- maintenance_schema() ~ '.digest(' ~ column.name ~ ')'
            if definition.kind == 'aggregate' and text_columns(columns, [column.name])
            else column.name -}}
        {{- ', ' if not loop.last -}}
    {%- endfor -%}
{% endmacro %}


{% macro text_columns(columns, names) %}
    {{- return(columns | selectattr('name', 'in', names)
        | selectattr('type', 'equalto', 'text') | list) -}}
{% endmacro %}


{#- The rows that a statement changed, from the transition tables of its trigger. -#}
{% macro changed_rows(operation) %}
    {{- return({
        'insert': '(select * from new_rows)',
        'delete': '(select * from old_rows)',
        'update': '(select * from old_rows union all select * from new_rows)',
    }[operation]) -}}
{% endmacro %}


{#- per_row: the SQL over the changed rows alone. Rows that are new in the relation are
    new in the model; a key that is there already would be an error of the config. A
    change of what is looked up touches stored rows, and the SQL runs over their origins. -#}
{% macro per_row_delta(definition, expanded, columns, table, operation) %}
    {% set keys = definition.config.unique_key %}
    {% if table in looked_up(definition, expanded) %}
        {% set origin = expanded.reads | reject('in', looked_up(definition, expanded)) | first %}
    {{ for_keys_touched_by(definition, expanded, columns, table, operation,
        delta_over(definition, expanded, origin).replace(
            '{changed}', '(select * from ' ~ origin ~ ' as model where {touched})')) }}
    {% else %}
        {% set over = delta_over(definition, expanded, table) %}
        {% set of_new = over.replace('{changed}', '(select * from new_rows)') %}
        {% set of_old = over.replace('{changed}', '(select * from old_rows)') %}
        {% if operation == 'insert' %}
    insert into {{ definition.relation }}
{{ of_new }};
        {% else %}
    select {{ aggregated_keys(keys) }} into {{ touched_variables(keys) }}
    from (
{{ of_old }}
    ) as before;
    {{ for_touched_keys(definition, columns, of_new if operation == 'update' else none) }}
        {% endif %}
    {% endif %}
{% endmacro %}


{#- The tables in which a model by row looks up: those of the relations in lookup_keys. -#}
{% macro looked_up(definition, expanded) %}
    {% set tables = [] %}
    {% for table, ways in expanded.reads.items()
        if ways[0].path[0] in definition.config.lookup_keys %}
        {% do tables.append(table) %}
    {% endfor %}
    {{ return(tables) }}
{% endmacro %}


{#- The model's SQL with `{changed}` in place of one table, and nothing in place of the
    others that are not looked up: the parts of a union all add up. -#}
{% macro delta_over(definition, expanded, table) %}
    {% set sql = namespace(text=expanded.sql) %}
    {% for other in expanded.reads
        if other != table and other not in looked_up(definition, expanded) %}
        {% set sql.text = sql.text.replace(other, '(select * from ' ~ other ~ ' where false)') %}
    {% endfor %}
    {{ return(sql.text.replace(table, '{changed}')) }}
{% endmacro %}


{#- by_key: the keys that the changed rows touch, then the SQL of those keys. -#}
{% macro by_key_delta(definition, expanded, columns, table, operation) %}
    {{ for_keys_touched_by(definition, expanded, columns, table, operation,
        'select * from (\n' ~ expanded.sql ~ '\n) as model where {touched}') }}
{% endmacro %}


{#- Finds the keys that the changed rows touch, and puts `computed` in the place of
    their rows; in chunks, so that memory is bounded. -#}
{% macro for_keys_touched_by(definition, expanded, columns, table, operation, computed) %}
    {% set keys = definition.config.unique_key %}
    for {{ touched_variables(keys) }} in
        select {{ aggregated_keys(keys) }}
        from (
            select *, (row_number() over () - 1) / 10000 as chunk from (
                {{ touched_keys(definition, expanded, columns, table, changed_rows(operation)) }}
            ) as touched
        ) as touched
        group by chunk
    loop
        {{ for_touched_keys(definition, columns, computed) }}
    end loop;
{% endmacro %}


{#- Puts `computed`, a query, in the place of the rows of the touched keys: a query
    may restrict itself by `{touched}`. Keys that are null are looked up slowly. -#}
{% macro for_touched_keys(definition, columns, computed) %}
    {%- set keys = definition.config.unique_key -%}
    if {% for key in keys -%}
        array_position(touched_{{ loop.index }}, null) is null{{ ' and ' if not loop.last }}
    {%- endfor %} then
    {%- for condition, is_computed in [
        (touched_condition(keys),
            '((' ~ keys | join(', ') ~ ') in (select ' ~ keys | join(', ') ~ ' from computed))'),
        ('exists (select from unnest(' ~ touched_variables(keys) ~ ') as touched ('
            ~ keys | join(', ') ~ ') where ' ~ same_keys(keys, 'touched') ~ ')',
            'exists (select from computed where ' ~ same_keys(keys, 'computed') ~ ')'),
    ] %}
        {%- if computed %}
        with computed as materialized (
{{ computed.replace('{touched}', condition) }}
        ),
        put as (
            {{ upsert(definition, columns) }}
        )
        delete from {{ definition.relation }} as model
        where {{ condition }}
            and {{ is_computed }} is not true;
        {%- else %}
        delete from {{ definition.relation }} as model where {{ condition }};
        {%- endif %}
    {{ 'else' if loop.first }}
    {%- endfor %}
    end if;
{%- endmacro %}


{#- The keys of the rows that the changed rows of a table have to do with, by each way
    in which it is read: that of a relation in lookup_keys speaks for its readers. -#}
{% macro touched_keys(definition, expanded, columns, table, changed) %}
    {% set lookup_keys = definition.config.lookup_keys %}
    {% set ways = [] %}
    {% for way in expanded.reads[table]
        if not way.path[1:] | select('in', lookup_keys) | list %}
        {% do ways.append(keys_by_way(definition, expanded, columns, table, way, changed)) %}
    {% endfor %}
    {{ ways | join('\n    union\n') }}
{% endmacro %}


{% macro keys_by_way(definition, expanded, columns, table, way, changed) %}
    {% set keys = definition.config.unique_key | join(', ') %}
    {% set by = maintained_list(
        definition.config.lookup_keys.get(way.path[0], [])) %}
    {% set changed_parent = way.sql.replace(table, changed) %}
    {% if not by %}
        {{ keys_by_changed_row(definition, expanded.sql, table, changed) }}
    {% elif by == definition.config.unique_key %}
        {% if way.joins %}
            {{ keys_by_changed_row(definition, way.sql, table, changed) }}
        {% else %}
    select distinct {{ keys }} from (
{{ changed_parent }}
    ) as changed
        {% endif %}
    {% else %}
    {%- set changed_values %}
        select {{ by | join(', ') }} from (
{{ changed_parent }}
        ) as changed
    {%- endset %}
    select {{ keys }} from {{ definition.relation }}
    where
        {%- for name in by %}
        {%- set index = indexed_text(name) if text_columns(columns, [name]) else name %}
        {{ index }} = any(array(select {{ index }} from ({{ changed_values }}) as changed))
        and
        {%- endfor %}
        (({{ by | join(', ') }}) in ({{ changed_values }})) is true
    {% endif %}
{% endmacro %}


{#- The SQL is run for one changed row at a time, so that each join starts from it; and
    without `order by … limit 1`, which says nothing of a single row but keeps PostgreSQL
    from turning a lateral join round. -#}
{% macro keys_by_changed_row(definition, sql, table, changed) %}
    {% set keys = definition.config.unique_key %}
    {% set condition = definition.config.get('affects_when', {}).get(name_of_relation(table)) %}
    select distinct touched.*
    from {{ changed }} as changed
    cross join lateral (
        select {{ keys | join(', ') }} from (
{{ modules.re.sub('order by[^()]*limit 1', '', sql.replace(table, '(select changed.*)')) }}
        ) as model
        offset 0
    ) as touched
    {%- if condition %}
    left join {{ definition.relation }} as stored on
        {%- for key in keys %} stored.{{ key }} = touched.{{ key }}{{ ' and' if not loop.last }}{% endfor %}
    where {{ condition }}
    {%- endif %}
{% endmacro %}


{% macro touched_variables(keys) %}
    {%- for key in keys -%} touched_{{ loop.index }}{{ ', ' if not loop.last }} {%- endfor -%}
{% endmacro %}


{% macro aggregated_keys(keys) %}
    {%- for key in keys -%} array_agg({{ key }}){{ ', ' if not loop.last }} {%- endfor -%}
{% endmacro %}


{#- A condition on each key is pushed down to an index; where there are several, `is
    true` makes the exact one a look-up in a hash table rather than a join. -#}
{% macro touched_condition(keys) %}
    {%- for key in keys -%}
        {{ key }} = any(touched_{{ loop.index }}){{ ' and ' if not loop.last }}
    {%- endfor -%}
    {%- if keys | length > 1 %}
        and (({{ keys | join(', ') }}) in (select * from unnest({{ touched_variables(keys) }}))) is true
    {%- endif -%}
{% endmacro %}


{#- Equality in which nulls are equal, and which no index serves. -#}
{% macro same_keys(keys, other) %}
    {%- for key in keys -%}
        model.{{ key }} is not distinct from {{ other }}.{{ key }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{% endmacro %}


{#- aggregate: the sums of the changed rows, added to the stored ones. What is added to
    NaN or an infinity can't be taken away again: groups with such a sum are computed anew
    from their rows. Those may be those of a statement that has more changes to carry, so
    from then on the transaction adds nothing to this model and computes all of it anew. -#}
{% macro aggregate_delta(definition, expanded, columns, table, operation) %}
    {% set keys = definition.config.unique_key %}
    {% set sums = columns | rejectattr('name', 'in', keys) | list %}
    {% set over = delta_over(definition, expanded, table) %}
    {% set changes = {
        'added': over.replace('{changed}', '(select * from new_rows)'),
        'removed': over.replace('{changed}', '(select * from old_rows)'),
    } %}
    {% do changes.pop({'insert': 'removed', 'delete': 'added'}.get(operation), none) %}
    {% set computed = 'select * from (\n' ~ expanded.sql ~ '\n) as model where {touched}' %}
    {% set mark = '|' ~ local_md5(definition.relation) ~ '|' %}
    if strpos(current_setting('firstclick.computed_anew', true), '{{ mark }}') > 0 then
        select {{ aggregated_keys(keys) }} into {{ touched_variables(keys) }}
        from (
        {%- for side, rows in changes.items() %}
            select {{ keys | join(', ') }} from (
{{ rows }}
            ) as {{ side }}
            {{- ' union' if not loop.last }}
        {%- endfor %}
        ) as touched;
    else
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
            {%- for side, rows in changes.items() %}
                select {{ 1 if side == 'added' else -1 }} as sign, {{ side }}.* from (
{{ rows }}
                ) as {{ side }}
                {{- ' union all' if not loop.last }}
            {%- endfor %}
            ) as changes
            group by {{ keys | join(', ') }}
            having {% for column in sums -%}
                sum(sign * {{ column.name }}) <> 0{{ ' or ' if not loop.last }}
            {%- endfor %}
        ),
        added as (
            insert into {{ definition.relation }} as stored
            select * from computed
            on conflict ({{ indexed_keys(definition, columns) }}) do update set
            {%- for column in sums %}
                {{ column.name }} = stored.{{ column.name }} + excluded.{{ column.name }}{{ ',' if not loop.last }}
            {%- endfor %}
            returning {{ keys | join(', ') }}, {{ definition.config.count }} = 0 as is_empty,
                {{ is_not_finite(definition, columns) }} as is_not_finite
        )
        select
            bool_or(is_empty),
            {%- for key in keys %}
            array_agg({{ key }}) filter (where is_not_finite){{ ',' if not loop.last }}
            {%- endfor %}
        into emptied, {{ touched_variables(keys) }}
        from added;
        if emptied then
            delete from {{ definition.relation }} where {{ definition.config.count }} = 0;
        end if;
        if touched_1 is not null then
            perform set_config('firstclick.computed_anew',
                concat(current_setting('firstclick.computed_anew', true), '{{ mark }}'), true);
        end if;
    end if;
    if touched_1 is not null then
        {{ for_touched_keys(definition, columns, computed) }}
    end if;
{% endmacro %}


{#- Whether any sum of a row is no finite number. -#}
{% macro is_not_finite(definition, columns) %}
    {%- set conditions = [] -%}
    {%- for column in columns
        if column.name not in definition.config.unique_key and column.type.startswith('numeric') -%}
        {%- do conditions.append(
            column.name ~ " in ('NaN', 'Infinity', '-Infinity')") -%}
    {%- endfor -%}
    {{- return(conditions | join(' or ') or 'false') -}}
{% endmacro %}
