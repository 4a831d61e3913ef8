{#- What seeds need beside their tables: which rows they brought. -#}
{% macro prepare_seeds() %}
{% set maintenance = maintenance_schema() %}
create table if not exists {{ maintenance }}.seed_rows (
    seed text,
    key jsonb,
    primary key (seed, key)
);

create or replace function {{ maintenance }}.key_of_row(stored jsonb, names text[])
returns jsonb language sql immutable strict parallel safe
return (select jsonb_object_agg(name, stored -> name) from unnest(names) as name);

-- On a seed's table, with its name and the names of its keys.
create or replace function {{ maintenance }}.forget_seed_row() returns trigger
language plpgsql {{ as_owner() }} as $$
declare
    named text[] := tg_argv[1:];
begin
    if tg_op = 'TRUNCATE' then
        delete from {{ maintenance }}.seed_rows where seed = tg_argv[0];
    elsif tg_op = 'DELETE'
        or {{ maintenance }}.key_of_row(to_jsonb(old), named)
        <> {{ maintenance }}.key_of_row(to_jsonb(new), named) then
        delete from {{ maintenance }}.seed_rows
        where seed = tg_argv[0]
            and key = {{ maintenance }}.key_of_row(to_jsonb(old), named);
    end if;
    return null;
end
$$;
{{ for_the_owner(maintenance ~ '.forget_seed_row') }};

-- Alters columns that views read: those are made anew, with their grants.
create or replace function {{ maintenance }}.alter_columns(relation regclass, changes text)
returns void language plpgsql as $$
declare
    dropping text[];
    making text[];
    statement text;
begin
    perform {{ maintenance }}.lock_all(array[relation::text]);
    with views as (
        select
            there.relation::text as named,
            there.depth,
            relowner as owner,
            relacl as acl,
            coalesce(models.sql, pg_get_viewdef(there.relation)) as sql
        from {{ maintenance }}.with_views(array[relation]) as there
        inner join pg_class on pg_class.oid = there.relation
        left join {{ maintenance }}.models as models
            on to_regclass(models.relation) = there.relation
        where there.depth > 0
    ),
    remade as (
        select 0 as step, depth, format('create view %s as %s', named, sql) as statement
        from views
        union all
        select 1, depth, format(
            'grant %s on %s to %s', granted.privilege_type, named,
            coalesce(quote_ident(pg_get_userbyid(nullif(granted.grantee, 0))), 'public')
        )
        from views, aclexplode(acl) as granted
        where granted.grantee <> owner
    )
    select
        (select array_agg(format('drop view %s', named) order by depth desc) from views),
        (select array_agg(remade.statement order by step, depth) from remade)
    into dropping, making;

    foreach statement in array coalesce(dropping, '{}')
        || format('alter table %s %s', relation, changes) || coalesce(making, '{}')
    loop
        execute statement;
    end loop;
end
$$;
{% endmacro %}
