{#- Makes the schema that holds the machinery: the catalogue of maintained models
    and the functions that their triggers share. Idempotent; runs on every start. -#}
{% macro prepare_maintenance() %}
{% set maintenance = maintenance_schema() %}
{{ check_database() }}
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
{{ prepare_remembered_triggers() }}

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

-- A number of a JSON document as numeric takes it: in fewer digits if it needs that, and
-- true, which is neither missing nor a number, in place of one that it can't hold.
create or replace function {{ maintenance }}.held_number(token text) returns text
language plpgsql immutable strict parallel safe as $$
declare
    parts text[] := regexp_match(
        token, '^(-?)(0|[1-9][0-9]*)(?:[.]([0-9]+))?(?:[eE]([-+]?)0*([0-9]*))?$');
    digits text := parts[2] || coalesce(parts[3], '');
    -- Between the first and the last that is not zero
    held text := rtrim(ltrim(digits, '0'), '0');
    exponent bigint;
begin
    if pg_input_is_valid(token, 'numeric') then
        return token;
    elsif held = '' then
        return '0';
    elsif length(parts[5]) > 9 then
        return 'true';
    end if;
    exponent := concat(parts[4], coalesce(nullif(parts[5], ''), '0'))::bigint
        - coalesce(length(parts[3]), 0) + length(digits) - length(rtrim(digits, '0'));
    held := concat(parts[1], held, 'e', exponent);
    return case when pg_input_is_valid(held, 'numeric') then held else 'true' end;
end
$$;

-- The JSON document that the bytes hold, with each number as it can be held.
create or replace function {{ maintenance }}.document_of_held_numbers(bytes bytea)
returns jsonb language plpgsql immutable strict parallel unsafe as $$
begin
    declare
        -- Only of what is JSON are the pieces known to be found fast
        written json := convert_from(bytes, 'UTF8');
        document jsonb := (
            select string_agg(
                case
                    when piece[1] ~ '^[-0-9]' then {{ maintenance }}.held_number(piece[1])
                    else piece[1]
                end, '' order by place
            )
            from regexp_matches(
                written::text, '"(?:[^"\\]|\\.)*"|[-0-9][-+.0-9eE]*|[^-0-9"]+', 'g'
            ) with ordinality as pieces (piece, place)
        );
    begin
        return document;
    end;
exception when data_exception or program_limit_exceeded then
    return null;
end
$$;

-- The JSON document that the bytes hold; null where jsonb can't hold it. A cast
-- behind pg_input_is_valid() would not do: nesting beyond the stack's depth is
-- an error there as well. The cast is a declaration's: an expression that has failed once
-- takes half as long again until the transaction ends. A number that numeric can't hold is
-- for its field to be wrong for, where anybody reads that: so then each number is looked at.
create or replace function {{ maintenance }}.document(bytes bytea) returns jsonb
language plpgsql immutable strict parallel unsafe as $$
begin
    declare
        document jsonb := convert_from(bytes, 'UTF8');
    begin
        return document;
    end;
exception
    when numeric_value_out_of_range then
        return {{ maintenance }}.document_of_held_numbers(bytes);
    when data_exception or program_limit_exceeded then
        return null;
end
$$;

-- What an index holds in place of a text of any length.
create or replace function {{ maintenance }}.digest(value text) returns bytea
language sql immutable strict parallel safe
return sha256(convert_to(value, 'UTF8'));

-- Relations, and the views on them, and the views on those.
create or replace function {{ maintenance }}.with_views(relations regclass[])
returns table (relation regclass, depth integer) language sql stable as $$
    with recursive readers as (
        select unnest(relations)::oid as relation, 0 as depth
        union
        select pg_rewrite.ev_class, readers.depth + 1
        from readers
        inner join pg_depend on pg_depend.refobjid = readers.relation
        inner join pg_rewrite on pg_rewrite.oid = pg_depend.objid
        inner join pg_class on pg_class.oid = pg_rewrite.ev_class
        where pg_depend.classid = 'pg_rewrite'::regclass
            and pg_rewrite.ev_class <> readers.relation
            and pg_class.relkind = 'v'
    )
    select relation::regclass, max(depth)
    from readers where relation is not null group by relation
$$;

-- Keeps readers from relations and the views on them. All are locked at once or none: to
-- wait for one while holding another could be a deadlock with a reader of both, so after
-- a wait that is too short for that it lets go and tries again.
create or replace function {{ maintenance }}.lock_all(names text[])
returns void language plpgsql as $$
declare
    named text := (
        select string_agg(relation::text, ', ')
        from {{ maintenance }}.with_views(array(select to_regclass(unnest(names))))
    );
begin
    for attempt in 1 .. 200 loop
        exit when named is null;
        begin
            set local lock_timeout = '100ms';
            execute format('lock table %s in access exclusive mode', named);
            exit;
        exception when lock_not_available then
            if attempt = 200 then
                raise exception 'a query has held % for too long: try again',
                    case when cardinality(names) = 1 then names[1]
                    else 'what is to be replaced' end;
            end if;
            perform pg_sleep(0.05);
        end;
    end loop;
    set local lock_timeout = '30s';
end
$$;

-- Puts relations in the place of others. Where there is none to put, a model that is a
-- view is made by its words in the catalogue, and anything else is dropped. Views on the
-- old ones and triggers of them are made anew on the new ones, with their grants.
drop function if exists {{ maintenance }}.put_in_place(regclass, regclass);
create or replace function {{ maintenance }}.put_in_place(names text[], successors text[])
returns void language plpgsql as $$
declare
    kinds jsonb := '{"r": "table", "v": "view"}';
    states jsonb := '{"O": "enable", "A": "enable always", "R": "enable replica", "D": "disable"}';
    dropping text[];
    renaming text[];
    making text[];
    statement text;
begin
    perform {{ maintenance }}.lock_all(names);

    with given as (
        select
            name,
            to_regclass(name) as relation,
            to_regclass(successor) as successor,
            case when successor is null then models.rank end as rank,
            models.sql,
            successor is null and models.relation is null as is_gone
        from unnest(names, successors) as given (name, successor)
        left join {{ maintenance }}.models as models
            on models.relation = name and models.kind = 'view'
    ),
    relations as (
        select
            there.relation,
            there.depth,
            there.relation::text as named,
            given.name is not null as is_given,
            coalesce(given.is_gone, false) as is_gone,
            relkind::text as kind,
            relowner as owner,
            relacl as acl
        from {{ maintenance }}.with_views(array(select relation from given)) as there
        inner join pg_class on pg_class.oid = there.relation
        left join given on given.relation = there.relation
    ),
    -- A model by its own words: PostgreSQL's name each column that a `*` stood for
    views as (
        select name as named, sql, rank as place from given where rank is not null
        union all
        select
            named,
            coalesce(models.sql, pg_get_viewdef(relations.relation)),
            coalesce(models.rank, 1000 + depth)
        from relations
        left join {{ maintenance }}.models as models
            on to_regclass(models.relation) = relations.relation
        where not is_given
    ),
    remade as (
        select
            0 as step, 0 as place, concat(
                pg_get_triggerdef(pg_trigger.oid),
                format('; alter table %s %s trigger %I', name, states ->> tgenabled::text, tgname)
            ) as statement
        from given
        inner join pg_trigger on tgrelid = given.relation
        where successor is not null and not tgisinternal
        union all
        select 1, place, format('create view %s as %s', named, sql) from views
        union all
        select 2, depth, format(
            'grant %s on %s to %s', granted.privilege_type, named,
            coalesce(quote_ident(pg_get_userbyid(nullif(granted.grantee, 0))), 'public')
        )
        from relations, aclexplode(acl) as granted
        where granted.grantee <> owner and not is_gone
    ),
    renamed as (
        select 1 as step, format(
            'alter %s %s rename to %I', kinds ->> new.relkind::text, successor, old.relname
        ) as statement
        from given
        inner join pg_class as old on old.oid = given.relation
        inner join pg_class as new on new.oid = given.successor
        union all
        select 0, format(
            'alter index %s rename to %I', indexrelid::regclass,
            replace(index.relname, old.relname || '__new', old.relname)
        )
        from given
        inner join pg_class as old on old.oid = given.relation
        inner join pg_index on indrelid = given.successor
        inner join pg_class as index on index.oid = indexrelid
    )
    select
        (select array_agg(format('drop %s %s', kinds ->> kind, named)
            order by depth desc) from relations),
        (select array_agg(renamed.statement order by step) from renamed),
        (select array_agg(remade.statement order by step, place) from remade)
    into dropping, renaming, making;

    foreach statement in array coalesce(dropping || renaming || making, '{}') loop
        begin
            execute statement;
        exception when undefined_table or undefined_column then
            raise exception '%: %', split_part(statement, ' as ', 1), sqlerrm;
        end;
    end loop;
end
$$;

{{ prepare_seeds() }}
{% endmacro %}
