{#- Logical replication fires the triggers of rows alone, and tells them no more than the
    row. So a trigger for replication writes such a row by a statement, which fires those
    that maintain the models, and has the worker leave it alone. Other sessions never fire
    it, or pass it by. The tables that the connector copies into refuse such rows: a
    trigger before rows would have the copy go row by row. -#}
{% macro prepare_replaying() %}
create or replace function {{ maintenance_schema() }}.replay() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    columns text;
begin
    if pg_trigger_depth() > 1 or not exists (
        select from pg_stat_subscription where pid = pg_backend_pid()
    ) then
        if tg_op = 'DELETE' then
            return old;
        end if;
        return new;
    end if;
    if tg_when = 'AFTER' then
        raise exception
            '% is filled by the connector alone: drop the subscription to it',
            tg_relid::regclass;
    end if;
    select string_agg(quote_ident(attname), ', ' order by attnum) into columns
    from pg_attribute
    where attrelid = tg_relid and attnum > 0 and not attisdropped and attgenerated = '';
    if tg_op = 'INSERT' then
        execute format(
            'insert into %1$s (%2$s) overriding system value select %2$s from (select ($1).*)',
            tg_relid::regclass, columns
        ) using new;
    elsif tg_op = 'UPDATE' then
        execute format(
            'update %1$s set (%2$s) = (select %2$s from (select ($1).*)) where ctid = $2',
            tg_relid::regclass, columns
        ) using new, old.ctid;
    else
        execute format('delete from %s where ctid = $1', tg_relid::regclass) using old.ctid;
    end if;
    return null;
end
$$;
{% endmacro %}


{#- The trigger of a table that no model is: {name: statement}. -#}
{% macro replaying_trigger(table) %}
    {% set filled = [] %}
    {% for node in graph.nodes.values()
        if node.config.materialized == 'kafka_table' and node.relation_name == table %}
        {% do filled.append(node) %}
    {% endfor %}
    {{ return({'000_replay':
        'create or replace trigger "000_replay" ' ~ ('after' if filled else 'before')
        ~ ' insert or update or delete on ' ~ table ~ ' for each row execute function '
        ~ maintenance_schema() ~ '.replay();\n'
        ~ 'alter table ' ~ table ~ ' enable replica trigger "000_replay"'}) }}
{% endmacro %}
