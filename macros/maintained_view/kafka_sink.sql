{#- A view of what goes to a Kafka topic, and beside the table that it reads a table
    `<table>_changes` of the keys whose rows have changed since they were published.
    The publisher reads the one by the other, and notes what it wrote in
    `<table>_published`. Where the view is new or edited,
    everything is to be published again. -#}
{% materialization kafka_sink, adapter='postgres' %}
    {% set table = graph.nodes[model.depends_on.nodes[0]].relation_name %}
    {% set changes = table[:-1] ~ '_changes"' %}
    {% set definition = {
        'relation': this.render(),
        'kind': 'view',
        'sql': sql,
        'parents': [table],
        'config': {'unique_key': [], 'count': '', 'lookup_keys': {}, 'indexes': []},
    } %}
    {% if var('single_transaction', false) %}
        {% do definition.update({'changes': changes, 'key': config.get('unique_key')}) %}
        {{ return(defer(definition)) }}
    {% endif %}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {% do begin_maintenance() %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% set outcome = deploy_model(definition) %}
    {% call statement('main') %}
        {{ table_of_changes(changes, config.get('unique_key')) }};
        {{ note_changes(this.render(), table, changes, config.get('unique_key')) }}
        {%- if outcome != 'unchanged' %}
        {{ note_all([table], changes, config.get('unique_key')) }}
        {%- endif %}
    {% endcall %}

    {% do persist_docs(this, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}


{#- The keys of the rows that have changed since they were published, and up to where
    the topic has been written: see firstclick.workers.published. -#}
{% macro table_of_changes(changes, key) %}
    create table if not exists {{ changes }} (
        change_id bigint generated always as identity primary key,
        {{ key }} text not null
    );
    create table if not exists {{ changes.removesuffix('_changes"') }}_published" (
        kafka_partition integer primary key,
        next_offset bigint not null,
        topic_id text
    )
{% endmacro %}


{% macro note_all(tables, changes, key) %}
    insert into {{ changes }} ({{ key }})
    {%- for table in tables | unique %}
    select {{ key }} from {{ table }}
    {{ 'union' if not loop.last }}
    {%- endfor %}
{% endmacro %}


{#- The keys of the rows that one of two relations has and the other has not. -#}
{% macro note_differences(old, new, changes, key) %}
    insert into {{ changes }} ({{ key }})
    select distinct {{ key }}
    from (
    {%- for one, other in [(old, new), (new, old)] %}
        (
            select {{ key }}, one::text from {{ one }} as one
            except select {{ key }}, other::text from {{ other }} as other
        )
        {{ 'union all' if not loop.last }}
    {%- endfor %}
    ) as differing
{% endmacro %}


{#- The triggers that fill it. They send no notification: whoever may log in can fill
    PostgreSQL's queue of those, and then every transaction that sends one fails. -#}
{% macro note_changes(sink, table, changes, key) %}
    {% set name = name_of_relation(changes) %}
    {% set function = maintenance_schema() ~ '.' ~ adapter.quote(name) %}
    create or replace function {{ function }}() returns trigger
    language plpgsql
    {{- with_pinned_settings('') }}
    as $$
    begin
        if tg_op = 'DELETE' then
            insert into {{ changes }} ({{ key }}) select {{ key }} from old_rows;
        else
            insert into {{ changes }} ({{ key }}) select {{ key }} from new_rows;
        end if;
        return null;
    end
    $$;

    {% set names = [] %}
    {% for operation, rows in {
        'insert': 'new table as new_rows',
        'update': 'new table as new_rows',
        'delete': 'old table as old_rows',
    }.items() %}
    {% set trigger = '999_' ~ name ~ '_' ~ operation %}
    {% do names.append(trigger) %}
    create or replace trigger {{ adapter.quote(trigger) }}
    after {{ operation }} on {{ table }} referencing {{ rows }}
    for each statement execute function {{ function }}();
    {{ always(table, trigger) }};
    {% endfor %}
    {{ remember_triggers(sink, {table: names}) }};
{% endmacro %}
