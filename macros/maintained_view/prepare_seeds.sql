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
{% endmacro %}
