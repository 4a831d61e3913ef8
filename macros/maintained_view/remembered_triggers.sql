{#- What notices that changes passed the triggers by: a table of the triggers that were
    installed, and a function that compares them with those that are there. A trigger
    that somebody disabled, and enabled again without `always`, tells that its table may
    have changed meanwhile. -#}
{% macro prepare_remembered_triggers() %}
{% set maintenance = maintenance_schema() %}
create table if not exists {{ maintenance }}.triggers (
    model text references {{ maintenance }}.models (relation)
        on update cascade on delete cascade,
    relation text,
    trigger text,
    state text not null,
    hash text not null,
    primary key (model, relation, trigger)
);

-- The triggers that are there. What guard() and its like do is deployed with every run,
-- so it isn't compared.
create or replace function {{ maintenance }}.present_triggers()
returns table (relation text, trigger text, state text, hash text)
language sql stable {{ as_owner() }} as $$
    select
        format('%I.%I', pg_namespace.nspname, pg_class.relname),
        pg_trigger.tgname::text,
        pg_trigger.tgenabled::text,
        md5(concat_ws(
            chr(10),
            pg_get_triggerdef(pg_trigger.oid),
            case
                when pg_proc.proname not in ('guard', 'replay')
                    then concat_ws(chr(10), prosrc, prosecdef, proconfig)
            end
        ))
    from pg_trigger
    inner join pg_class on pg_class.oid = pg_trigger.tgrelid
    inner join pg_namespace on pg_namespace.oid = pg_class.relnamespace
    inner join pg_proc on pg_proc.oid = pg_trigger.tgfoid
    where not pg_trigger.tgisinternal
$$;
{{ for_the_owner(maintenance ~ '.present_triggers') }};

create or replace function {{ maintenance }}.remember_triggers(
    maintained text, relations text[], names text[]
) returns void language sql as $$
    delete from {{ maintenance }}.triggers where model = maintained;
    insert into {{ maintenance }}.triggers
    select maintained, present.*
    from unnest(relations, names) as installed (relation, name)
    inner join pg_class on pg_class.oid = installed.relation::regclass
    inner join pg_namespace on pg_namespace.oid = pg_class.relnamespace
    inner join {{ maintenance }}.present_triggers() as present
        on present.relation = format('%I.%I', nspname, relname)
        and present.trigger = installed.name
$$;
{{ for_the_owner(maintenance ~ '.remember_triggers') }};

-- A row for each trigger that is not as it was installed: its table, what is wrong, and
-- the models whose rows may be wrong for that.
create or replace function {{ maintenance }}.check_triggers()
returns table (relation text, problem text, models text[])
language sql stable {{ as_owner() }} as $$
    select
        remembered.relation,
        case
            when to_regclass(remembered.relation) is null then 'is missing'
            when present.state is null
                then format('the trigger %I is missing', remembered.trigger)
            when present.state = 'D'
                then format('the trigger %I is disabled', remembered.trigger)
            when present.state <> remembered.state
                then format(
                    'the trigger %I was disabled for a time, or fires for some '
                    'sessions only', remembered.trigger
                )
            else format('the trigger %I is not the one deployed', remembered.trigger)
        end,
        array_agg(remembered.model order by remembered.model)
    from {{ maintenance }}.triggers as remembered
    left join {{ maintenance }}.present_triggers() as present
        using (relation, trigger)
    where (present.state, present.hash)
        is distinct from (remembered.state, remembered.hash)
    group by
        remembered.relation, remembered.trigger, remembered.state, present.state
    order by 1, 2
$$;
{{ for_the_owner(maintenance ~ '.check_triggers') }};

-- Several models may share a trigger: that it is as it should be again, as soon as the
-- first of them is computed, must not hide it from the others.
update {{ maintenance }}.triggers as remembered set hash = 'passed by'
where not exists (
    select from {{ maintenance }}.present_triggers() as present
    where (present.relation, present.trigger, present.state, present.hash)
        = (remembered.relation, remembered.trigger, remembered.state, remembered.hash)
);
{% endmacro %}


{#- Has a trigger fire for every session, those of replication and pg_restore as well. -#}
{% macro always(table, trigger) -%}
    alter table {{ table }} enable always trigger {{ adapter.quote(trigger) }}
{%- endmacro %}


{#- Remembers the triggers of a model: {table: names}. -#}
{% macro remember_triggers(model, triggers) %}
    {% set tables = [] %}
    {% set names = [] %}
    {% for table, of_table in triggers.items() %}
        {% for name in of_table %}
            {% do tables.append(table) %}
            {% do names.append(name) %}
        {% endfor %}
    {% endfor %}
    {{- return('select ' ~ maintenance_schema() ~ ".remember_triggers('" ~ model ~ "', "
        ~ text_array(tables) ~ ', ' ~ text_array(names) ~ ')') -}}
{% endmacro %}


{#- Whether the triggers of a model are those that were installed, and none was disabled
    meanwhile. Says what is wrong. -#}
{% macro triggers_are_in_place(definition, triggers) %}
    {% set problems = run_query(
        "select relation || ': ' || problem as it from " ~ maintenance_schema()
        ~ ".check_triggers() where '" ~ definition.relation ~ "' = any(models)"
    ).columns[0].values() | list %}
    {% for problem in problems if problem not in graph.setdefault('told_problems', []) %}
        {% do graph.told_problems.append(problem) %}
        {% do log(problem ~ ': its models are computed again', info=true) %}
    {% endfor %}
    {% for table, of_table in triggers.items() %}
        {% set names = run_query(
            "select tgname from pg_trigger where tgrelid = '" ~ table ~ "'::regclass"
        ).columns[0].values() %}
        {% do problems.extend(of_table | reject('in', names) | list) %}
    {% endfor %}
    {{ return(not problems) }}
{% endmacro %}
