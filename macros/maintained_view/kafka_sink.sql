{#- A view of what goes to a Kafka topic, and beside the table that it reads a table
    `<table>_changes` of the keys whose rows have changed since they were published.
    The publisher reads the one by the other. Where the view is new or edited,
    everything is to be published again. -#}
{% materialization kafka_sink, adapter='postgres' %}
    {% set table = (graph.nodes[model.depends_on.nodes[0]]).relation_name %}
    {% set key = config.get('keys') %}
    {% set changes = table[:-1] ~ '_changes"' %}
    {% set name = name_of_relation(changes) %}
    {% set function = maintenance_schema() ~ '.' ~ adapter.quote(name) %}
    {% set existing = load_relation(this) %}
    {% set before = run_query(
        "select pg_get_viewdef('" ~ this ~ "'::regclass)").rows[0][0] if existing else none %}
    {% call statement('serialise', auto_begin=True) %}
        select {{ maintenance_schema() }}.serialise()
    {% endcall %}
    {% do run_query('create table if not exists ' ~ changes ~ ' (
        change_id bigint generated always as identity primary key,
        ' ~ key ~ ' text not null)') %}
    {% do deploy_model({
        'relation': this.render(), 'kind': 'view', 'sql': sql, 'parents': [table],
        'config': {'keys': [], 'count': '', 'touched_by': {}, 'indexes': []},
    }) %}
    {% if run_query("select pg_get_viewdef('" ~ this ~ "'::regclass)").rows[0][0] != before %}
        {% do run_query('insert into ' ~ changes ~ ' (' ~ key ~ ') select ' ~ key ~ ' from ' ~ table) %}
    {% endif %}
    {% do run_query('create or replace function ' ~ function ~ '() returns trigger
        language plpgsql as $$
        begin
            if tg_op = \'DELETE\' then
                insert into ' ~ changes ~ ' (' ~ key ~ ') select ' ~ key ~ ' from old_rows;
            else
                insert into ' ~ changes ~ ' (' ~ key ~ ') select ' ~ key ~ ' from new_rows;
            end if;
            if found then
                perform pg_notify(\'' ~ name ~ '\', tg_table_schema);
            end if;
            return null;
        end
        $$') %}
    {% for operation, rows in {'insert': 'new table as new_rows',
        'update': 'new table as new_rows', 'delete': 'old table as old_rows'}.items() %}
        {% do run_query('create or replace trigger "999_' ~ name ~ '_' ~ operation ~ '" after '
            ~ operation ~ ' on ' ~ table ~ ' referencing ' ~ rows
            ~ ' for each statement execute function ' ~ function ~ '()') %}
    {% endfor %}
    {% call noop_statement('main', 'sink') %}{{ sql }}{% endcall %}
    {{ adapter.commit() }}
    {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}
