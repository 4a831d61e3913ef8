{#- Has the rows of tables be told apart by what publishes them, which else would refuse
    every update and deletion. That costs something only where `wal_level` is logical. A
    table with a primary key, or an identity that somebody chose, is left alone. -#}
{% macro prepare_identities() %}
{% set maintenance = maintenance_schema() %}
create or replace function {{ maintenance }}.unidentified(names text[])
returns setof text language sql stable as $$
    select distinct name
    from unnest(names) as name
    inner join pg_class on pg_class.oid = to_regclass(name)
    where relkind = 'r' and relreplident = 'd' and not exists (
        select from pg_index where indrelid = pg_class.oid and indisprimary
    )
$$;

create or replace function {{ maintenance }}.identify(names text[])
returns void language plpgsql as $$
declare
    name text;
begin
    for name in select {{ maintenance }}.unidentified(names) loop
        execute format('alter table %s replica identity full', name);
    end loop;
end
$$;
{% endmacro %}


{#- The tables of a model and of what it reads. -#}
{% macro tables_of(definition, triggers) %}
    {{ return([definition.relation] + (triggers.triggers | list)) }}
{% endmacro %}
