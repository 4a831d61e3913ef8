{#- Makes the schema that holds the machinery: the catalogue of maintained models
    and the functions that their triggers share. Idempotent; runs on every start. -#}
{% macro prepare_maintenance() %}
{% set maintenance = maintenance_schema() %}
select pg_advisory_xact_lock(hashtextextended('{{ maintenance }}', 0));

create schema if not exists {{ adapter.quote(target.schema) }};
create schema if not exists {{ maintenance }};

create table if not exists {{ maintenance }}.models (
    relation text primary key,
    kind text not null,
    rank integer not null,
    sql text not null,
    parents jsonb not null,
    config jsonb not null,
    functions jsonb not null,
    rows_hash text not null,
    triggers_hash text not null
);

-- Taken first by whoever writes to the pipeline, until the transaction ends.
create or replace function {{ maintenance }}.serialise() returns void
language sql {{ as_owner() }} as $$
    select pg_advisory_xact_lock(hashtextextended('{{ maintenance }}', 0))
$$;
{{ for_the_owner(maintenance ~ '.serialise') }};

-- Whether the session is its worker's only one: true for the first that asks, until
-- it ends.
create or replace function {{ maintenance }}.alone(worker text) returns boolean
language sql {{ as_owner() }} as $$
    select pg_try_advisory_lock(
        hashtextextended('firstclick ' || worker || ' of {{ target.schema }}', 0)
    )
$$;
{{ for_the_owner(maintenance ~ '.alone') }};

create or replace function {{ maintenance }}.guard() returns trigger
language plpgsql {{ as_owner() }} as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception
            '% feeds maintained views: write to it under read committed, not %',
            tg_table_name, current_setting('transaction_isolation');
    end if;
    perform {{ maintenance }}.serialise();
    -- A truncation tells no trigger which rows went; a deletion does.
    if tg_op = 'TRUNCATE' then
        execute format('delete from %s', tg_relid::regclass);
    end if;
    return null;
end
$$;
{{ for_the_owner(maintenance ~ '.guard') }};

-- The text that the bytes encode in UTF-8; null where they don't, or hold a zero.
-- ASCII without a backslash is its own escaped form, and spares a subtransaction. In a
-- parallel query of a transaction that writes there may be none: PostgreSQL says so, and
-- to take that for what the bytes are would be to reject what is well-formed.
create or replace function {{ maintenance }}.utf8(bytes bytea) returns text
language plpgsql immutable strict parallel unsafe as $$
declare
    escaped text := encode(bytes, 'escape');
begin
    if strpos(escaped, '\') = 0 then
        return escaped;
    end if;
    begin
        return convert_from(bytes, 'UTF8');
    exception when data_exception then
        return null;
    end;
end
$$;

-- The JSON document that the bytes hold; null where jsonb can't hold it. A cast
-- behind pg_input_is_valid() would not do: nesting beyond the stack's depth is
-- an error there as well. The cast is a declaration's: an expression that has failed once
-- takes half as long again until the transaction ends.
create or replace function {{ maintenance }}.document(bytes bytea) returns jsonb
language plpgsql immutable strict parallel unsafe as $$
begin
    declare
        document jsonb := convert_from(bytes, 'UTF8');
    begin
        return document;
    end;
exception when data_exception or program_limit_exceeded then
    return null;
end
$$;

-- What an index holds in place of a text of any length.
create or replace function {{ maintenance }}.digest(value text) returns bytea
language sql immutable strict parallel safe
return sha256(convert_to(value, 'UTF8'));

-- Puts a relation in the place of another of other columns. Views on the old one and
-- triggers of it are made anew on the new one, with their grants. All are locked at
-- once or none: to wait for one while holding another could be a deadlock with a reader
-- of both, so after a wait that is too short for that it lets go and tries again.
create or replace function {{ maintenance }}.put_in_place(old regclass, new regclass)
returns void language plpgsql as $$
declare
    name text := (select relname from pg_class where oid = old);
    kinds jsonb := '{"r": "table", "v": "view"}';
    dropping text[];
    making text[];
    locking text;
    statement text;
begin
    with recursive readers as (
        select old::oid as relation, 0 as depth
        union
        select pg_rewrite.ev_class, readers.depth + 1
        from readers
        inner join pg_depend on pg_depend.refobjid = readers.relation
        inner join pg_rewrite on pg_rewrite.oid = pg_depend.objid
        where pg_depend.classid = 'pg_rewrite'::regclass
            and pg_rewrite.ev_class <> readers.relation
    ),
    relations as (
        select
            relation,
            relation::regclass::text as named,
            depth,
            relkind::text as kind,
            relowner as owner,
            relacl as acl
        from (
            select relation, max(depth) as depth from readers group by relation
        ) as deepest
        inner join pg_class on pg_class.oid = deepest.relation
    ),
    remade as (
        -- A model by its own words: PostgreSQL's name each column that a `*` stood for
        select depth, 1 as step, format(
            'create view %s as %s', named,
            coalesce(models.sql, pg_get_viewdef(relations.relation))
        ) as statement
        from relations
        left join {{ maintenance }}.models as models
            on to_regclass(models.relation) = relations.relation
        where depth > 0
        union all
        select 0, 1, pg_get_triggerdef(oid)
        from pg_trigger where tgrelid = old and not tgisinternal
        union all
        select depth, 2, format(
            'grant %s on %s to %s', granted.privilege_type, named,
            coalesce(quote_ident(pg_get_userbyid(nullif(granted.grantee, 0))), 'public')
        )
        from relations, aclexplode(acl) as granted
        where granted.grantee <> owner
    )
    select
        (select array_agg(format('drop %s %s', kinds ->> kind, named)
            order by depth desc) from relations),
        (select array_agg(remade.statement order by depth, step) from remade),
        (select format(
            'lock table %s in access exclusive mode', string_agg(named, ', ')
        ) from relations)
    into dropping, making, locking;

    for attempt in 1 .. 200 loop
        begin
            set local lock_timeout = '100ms';
            execute locking;
            exit;
        exception when lock_not_available then
            if attempt = 200 then
                raise exception 'a query has held % for too long: try again', old;
            end if;
            perform pg_sleep(0.05);
        end;
    end loop;
    set local lock_timeout = '30s';

    foreach statement in array dropping loop
        execute statement;
    end loop;
    execute format(
        'alter %s %s rename to %I',
        kinds ->> (select relkind::text from pg_class where oid = new), new, name
    );
    for statement in
        select format(
            'alter index %s rename to %I',
            indexrelid::regclass, replace(relname, name || '__new', name)
        )
        from pg_index
        inner join pg_class on pg_class.oid = pg_index.indexrelid
        where indrelid = new
    loop
        execute statement;
    end loop;
    foreach statement in array coalesce(making, '{}') loop
        execute statement;
    end loop;
end
$$;
{% endmacro %}
