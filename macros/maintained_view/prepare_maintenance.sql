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
create or replace function {{ maintenance }}.lock_writers() returns void
language sql {{ as_owner() }} as $$
    select pg_advisory_xact_lock(hashtextextended('{{ maintenance }}', 0))
$$;
{{ for_the_owner(maintenance ~ '.lock_writers') }};

-- Has the planner know what the models' tables and those that they read hold by now,
-- where autovacuum has not come yet, which sees to it from then on. A table that
-- somebody is at, perhaps autovacuum, is left alone.
create or replace function {{ maintenance }}.analyze_tables() returns void
language plpgsql {{ as_owner() }} as $$
declare
    name text;
begin
    for name in
        select relation from {{ maintenance }}.models
        union
        select parent from {{ maintenance }}.models
        cross join jsonb_array_elements_text(parents) as parent
    loop
        if (
            select relkind = 'r' and pg_stat_get_autoanalyze_count(oid) = 0
            from pg_class where oid = to_regclass(name)
        ) then
            execute format('analyze (skip_locked) %s', name);
        end if;
    end loop;
end
$$;
{{ for_the_owner(maintenance ~ '.analyze_tables') }};

-- Whether the session is its worker's only one: true for the first that asks, until
-- it ends.
create or replace function {{ maintenance }}.try_singleton_lock(worker text) returns boolean
language sql {{ as_owner() }} as $$
    select pg_try_advisory_lock(
        hashtextextended('firstclick ' || worker || ' of {{ target.schema }}', 0)
    )
$$;
{{ for_the_owner(maintenance ~ '.try_singleton_lock') }};

{{ prepare_pin() }}
create or replace function {{ maintenance }}.guard() returns trigger
language plpgsql {{ as_owner() }} as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception
            '% feeds maintained views: write to it under read committed, not %',
            tg_table_name, current_setting('transaction_isolation');
    end if;
    perform {{ maintenance }}.lock_writers();
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
    if strpos(escaped, chr(92)) = 0 then
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

{{ prepare_replaying() }}
{{ prepare_swap() }}
{{ prepare_identities() }}
{{ prepare_seeds() }}
{% endmacro %}
