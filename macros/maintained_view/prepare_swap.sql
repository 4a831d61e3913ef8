{#- The functions that put relations in the place of others, with all that users hung on
    them. What can't be carried over is refused by its name. -#}
{% macro prepare_swap() %}
{% set maintenance = maintenance_schema() %}
-- Relations, and the views on them, and the views on those.
create or replace function {{ maintenance }}.with_views(relations regclass[])
returns table (relation regclass, depth integer) language sql stable as $$
    with recursive readers as (
        select unnest(relations)::oid as relation, 0 as depth
        union
        select pg_rewrite.ev_class, readers.depth + 1
        from readers
        inner join pg_depend
            on pg_depend.refclassid = 'pg_class'::regclass
            and pg_depend.refobjid = readers.relation
        inner join pg_rewrite on pg_rewrite.oid = pg_depend.objid
        inner join pg_class on pg_class.oid = pg_rewrite.ev_class
        where pg_depend.classid = 'pg_rewrite'::regclass
            and pg_rewrite.ev_class <> readers.relation
            and pg_class.relkind in ('v', 'm')
    )
    select relation::regclass, max(depth)
    from readers where relation is not null group by relation
$$;

-- Keeps readers from relations and the views on them. All are locked at once or none: to
-- wait for one while holding another could be a deadlock with a reader of both, so after
-- a wait that is too short for that it lets go and tries again. A view takes the lock by
-- an alteration that alters nothing: `lock table` would lock what the view reads too, and
-- nobody may lock a catalogue.
create or replace function {{ maintenance }}.lock_all(names text[])
returns void language plpgsql as $$
declare
    statements text[] := (
        select array_agg(
            case
                when relkind = 'r'
                    then format('lock table %s in access exclusive mode', relation)
                else format(
                    'alter table %s owner to %I', relation, pg_get_userbyid(relowner)
                )
            end
            order by relation
        )
        from {{ maintenance }}.with_views(array(select to_regclass(unnest(names))))
        inner join pg_class on pg_class.oid = relation
        where pg_has_role(relowner, 'usage')
    );
    statement text;
begin
    for attempt in 1 .. 200 loop
        exit when statements is null;
        begin
            set local lock_timeout = '100ms';
            foreach statement in array statements loop
                execute statement;
            end loop;
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

-- Whether an index is one that the model's config names or named: the others are users'.
create or replace function {{ maintenance }}.is_index_of_model(index regclass)
returns boolean language sql stable as $$
    select starts_with(name.relname, stored.relname || '_')
        and substr(name.relname, length(stored.relname) + 2) ~ '^(key_)?[0-9a-f]{8}$'
    from pg_index
    inner join pg_class as name on name.oid = indexrelid
    inner join pg_class as stored on stored.oid = indrelid
    where indexrelid = index
$$;

create or replace function {{ maintenance }}.policy_statement(policy oid)
returns text language sql stable as $$
    select concat(
        format(
            'create policy %I on %s as %s for %s to %s', polname, polrelid::regclass,
            case when polpermissive then 'permissive' else 'restrictive' end,
            '{"r": "select", "a": "insert", "w": "update", "d": "delete", "*": "all"}'
                ::jsonb ->> polcmd::text,
            (
                select string_agg(
                    case
                        when role = 0 then 'public'
                        else quote_ident(pg_get_userbyid(role))
                    end,
                    ', '
                )
                from unnest(polroles) as role
            )
        ),
        ' using (' || pg_get_expr(polqual, polrelid) || ')',
        ' with check (' || pg_get_expr(polwithcheck, polrelid) || ')'
    )
    from pg_policy where oid = policy
$$;

-- What hangs on a relation: of which kind, of which column where it is of one, and the
-- statement that hangs it on the relation that has the name then. A foreign key is the
-- affair of both its tables, and not among it.
create or replace function {{ maintenance }}.hung_on(hanging regclass)
returns table (kind text, of_column name, statement text)
language sql stable as $$
    with this as (
        select
            pg_class.*,
            hanging::text as named,
            case relkind when 'r' then 'table' when 'v' then 'view' else 'materialized view' end
                as word
        from pg_class
        where oid = hanging
    )
    select 'constraint', null::name, format(
        'alter table %s add constraint %I %s', named, conname,
        pg_get_constraintdef(pg_constraint.oid)
    )
    from this
    inner join pg_constraint on conrelid = hanging and contype in ('c', 'n', 'p', 'u', 'x')
    union all
    select 'owner', null, format('alter %s %s owner to %I', word, named, pg_get_userbyid(relowner))
    from this where relowner <> (select oid from pg_roles where rolname = current_user)
    union all
    select 'options', null, format(
        'alter %s %s set (%s)', word, named,
        (
            select string_agg(format('%I = %L', option_name, option_value), ', ')
            from pg_options_to_table(reloptions)
        )
    )
    from this where reloptions is not null
    union all
    select 'grant', attname, format(
        'grant %s%s on %s to %s%s', privilege_type, ' (' || quote_ident(attname) || ')', named,
        coalesce(quote_ident(pg_get_userbyid(nullif(grantee, 0))), 'public'),
        case when is_grantable then ' with grant option' end
    )
    from this
    cross join lateral (
        select null::name as attname, relacl as acl
        union all
        select attname, attacl from pg_attribute where attrelid = hanging and not attisdropped
    ) as granted
    cross join aclexplode(acl)
    where grantee <> relowner
    union all
    select 'statistics', attname, format(
        'alter table %s alter column %I set statistics %s', named, attname, attstattarget
    )
    from this
    inner join pg_attribute on attrelid = hanging and attstattarget >= 0
    where relkind <> 'v'
    union all
    select 'statistics', null, pg_get_statisticsobjdef(pg_statistic_ext.oid)
    from pg_statistic_ext where stxrelid = hanging
    union all
    select 'comment', attname, format(
        'comment on %s is %L',
        case
            when attname is null then word || ' ' || named
            else format('column %s.%I', named, attname)
        end,
        description
    )
    from this
    inner join pg_description on objoid = hanging and classoid = 'pg_class'::regclass
    left join pg_attribute on attrelid = hanging and attnum = objsubid and objsubid > 0
    union all
    select 'index', null, pg_get_indexdef(indexrelid)
    from this
    inner join pg_index on indrelid = hanging
    where relkind = 'm'
    union all
    select
        case
            when pronamespace = to_regnamespace('{{ maintenance }}') then 'maintaining trigger'
            else 'trigger'
        end,
        null,
        concat(
            pg_get_triggerdef(pg_trigger.oid),
            case when tgenabled <> 'O' then format(
                '; alter table %s %s trigger %I', named,
                case tgenabled
                    when 'A' then 'enable always'
                    when 'R' then 'enable replica'
                    else 'disable'
                end,
                tgname
            ) end
        )
    from this
    inner join pg_trigger on tgrelid = hanging and not tgisinternal
    inner join pg_proc on pg_proc.oid = tgfoid
    union all
    select 'rule', null, pg_get_ruledef(oid)
    from pg_rewrite where ev_class = hanging and rulename <> '_RETURN'
    union all
    select 'policy', null, {{ maintenance }}.policy_statement(oid)
    from pg_policy where polrelid = hanging
    union all
    select 'row security', null, format('alter table %s %s row level security', named, security)
    from this
    cross join lateral unnest(array[
        case when relrowsecurity then 'enable' end, case when relforcerowsecurity then 'force' end
    ]) as security
    where security is not null
    union all
    select 'publication', null, format(
        'alter publication %I add table only %s%s%s', pubname, named,
        (
            select ' (' || string_agg(quote_ident(attname), ', ') || ')'
            from pg_attribute where attrelid = hanging and attnum = any(prattrs)
        ),
        ' where (' || pg_get_expr(prqual, prrelid) || ')'
    )
    from this
    inner join pg_publication_rel on prrelid = hanging
    inner join pg_publication on pg_publication.oid = prpubid
    union all
    select 'identity', null, format(
        'alter table %s replica identity %s', named,
        case relreplident
            when 'f' then 'full'
            when 'n' then 'nothing'
            when 'd' then 'default'
            else (
                select 'using index ' || quote_ident(relname)
                from pg_index
                inner join pg_class as index on index.oid = indexrelid
                where indrelid = hanging and indisreplident
            )
        end
    )
    from this where relkind = 'r'
$$;

-- What else depends on relations that are to go, with the statements that take it off
-- and put it back; without them, where that can't be done. A function keeps its place
-- with an empty body.
create or replace function {{ maintenance }}.depending_on(relations oid[])
returns table (kind text, described text, taking_off text, putting_back text)
language sql stable as $$
    select
        'constraint',
        pg_describe_object('pg_constraint'::regclass, oid, 0),
        format('alter table %s drop constraint %I', conrelid::regclass, conname),
        format(
            'alter table %s add constraint %I %s', conrelid::regclass, conname,
            pg_get_constraintdef(oid)
        )
    from pg_constraint
    where contype = 'f' and conparentid = 0
        and (confrelid = any(relations) or conrelid = any(relations))
    union
    select
        case
            when pg_rewrite.oid is not null then 'rule'
            when pg_policy.oid is not null then 'policy'
            when prosqlbody is not null then 'function'
        end,
        pg_describe_object(classid, objid, case when classid = 'pg_class'::regclass then objsubid else 0 end),
        case
            when pg_rewrite.oid is not null
                then format('drop rule %I on %s', rulename, ev_class::regclass)
            when pg_policy.oid is not null
                then format('drop policy %I on %s', polname, polrelid::regclass)
            when prosqlbody is not null and refclassid = 'pg_class'::regclass
                then replace(
                    pg_get_functiondef(pg_proc.oid), pg_get_function_sqlbody(pg_proc.oid),
                    ' as ' || quote_literal('')
                )
        end,
        case
            when pg_rewrite.oid is not null then pg_get_ruledef(pg_rewrite.oid)
            when pg_policy.oid is not null
                then {{ maintenance }}.policy_statement(pg_policy.oid)
            when prosqlbody is not null then pg_get_functiondef(pg_proc.oid)
        end
    from pg_depend
    left join pg_rewrite on classid = 'pg_rewrite'::regclass and pg_rewrite.oid = objid
    left join pg_policy on classid = 'pg_policy'::regclass and pg_policy.oid = objid
    left join pg_trigger on classid = 'pg_trigger'::regclass and pg_trigger.oid = objid
    left join pg_proc on classid = 'pg_proc'::regclass and pg_proc.oid = objid
    where deptype = 'n'
        and (
            refclassid = 'pg_class'::regclass and refobjid = any(relations)
            or refclassid = 'pg_type'::regclass and refobjid in (
                select unnest(array[pg_type.oid, typarray])
                from pg_type where typrelid = any(relations)
            )
        )
        and classid not in ('pg_constraint'::regclass, 'pg_publication_rel'::regclass)
        and (tgrelid = any(relations)) is not true
        and (ev_class = any(relations)) is not true
        and (polrelid = any(relations)) is not true
        and not (classid = 'pg_class'::regclass and objid = any(relations))
$$;

-- Puts relations in the place of others. Where there is none to put, a model that is a
-- view is made by its words in the catalogue, and anything else is dropped. Views on the
-- old ones are made anew on the new ones, and what hung on either is hung on again.
-- With `altering` a relation stays, and that is done to it while nothing depends on it.
drop function if exists {{ maintenance }}.put_in_place(regclass, regclass);
drop function if exists {{ maintenance }}.put_in_place(text[], text[]);
drop function if exists {{ maintenance }}.put_in_place(text[], text[], text);
create or replace function {{ maintenance }}.swap(
    names text[], successors text[], altering text default null
)
returns void language plpgsql as $$
declare
    words jsonb := '{"r": "table", "v": "view", "m": "materialized view"}';
    bodies_checked text := current_setting('check_function_bodies');
    statements text[];
    next_one text;
    refused text;
begin
    select string_agg(described, ', ') into refused
    from {{ maintenance }}.depending_on(array(
        select relation
        from {{ maintenance }}.with_views(array(select to_regclass(unnest(names))))
    ))
    where taking_off is null and altering is null;
    if refused is not null then
        raise exception
            '% is of a relation that is to be replaced: drop it, deploy, and create it again',
            refused;
    end if;

    -- Users' indexes take long to build, so they are built before readers wait
    for next_one in
        select format(
            'create%s index %I on %s %s',
            case when indisunique then ' unique' end,
            'carried_' || indexrelid::oid, successor,
            substr(definition, strpos(definition, ' USING '))
        )
        from unnest(names, successors) as given (name, successor)
        inner join pg_index on indrelid = to_regclass(name)
        inner join pg_class on pg_class.oid = to_regclass(successor)
        cross join pg_get_indexdef(indexrelid) as definition
        where relkind = 'r' and not {{ maintenance }}.is_index_of_model(indexrelid)
            and not exists (select from pg_constraint where conindid = indexrelid)
    loop
        call {{ maintenance }}.run_for_users(next_one);
    end loop;

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
            given.name is null or not given.is_gone and altering is null as is_replaced,
            given.name is not null and altering is not null as stays,
            old.relkind::text as kind,
            coalesce(
                new.relkind::text, case when rank is not null then 'v' end, old.relkind::text
            ) = old.relkind::text as stays_its_kind,
            old.relispopulated as is_populated
        from {{ maintenance }}.with_views(array(select relation from given)) as there
        inner join pg_class as old on old.oid = there.relation
        left join given on given.relation = there.relation
        left join pg_class as new on new.oid = given.successor
    ),
    depending as (
        select depending.*
        from {{ maintenance }}.depending_on(array(select relation from relations)) as depending
    ),
    -- A model by its own words: PostgreSQL's name each column that a `*` stood for
    views as (
        select 'v' as kind, name as named, sql, rank as place from given where rank is not null
        union all
        select
            relations.kind,
            named,
            coalesce(models.sql, rtrim(pg_get_viewdef(relations.relation), ';')),
            coalesce(models.rank, 1000 + depth)
        from relations
        left join {{ maintenance }}.models as models
            on to_regclass(models.relation) = relations.relation
        where not is_given
    ),
    hung as (
        select
            hung.kind,
            case
                when of_column is null then statement
                else format(
                    'do $hang$ begin if exists (select from pg_attribute'
                    ' where attrelid = %L::regclass and attname = %L and not attisdropped)'
                    ' then %s; end if; end $hang$', named, of_column, statement
                )
            end as statement
        from relations
        cross join {{ maintenance }}.hung_on(relation) as hung
        where is_replaced
            and (stays_its_kind or hung.kind not in ('maintaining trigger', 'identity'))
    ),
    renamed as (
        select 1 as place, format(
            'alter %s %s rename to %I', words ->> new.relkind::text, successor, old.relname
        ) as statement
        from given
        inner join pg_class as old on old.oid = given.relation
        inner join pg_class as new on new.oid = given.successor
        union all
        select 0, format(
            'alter index %s rename to %I', indexrelid::regclass,
            coalesce(
                carried.relname, replace(index.relname, old.relname || '__new', old.relname)
            )
        )
        from given
        inner join pg_class as old on old.oid = given.relation
        inner join pg_index on indrelid = given.successor
        inner join pg_class as index on index.oid = indexrelid
        left join pg_class as carried on index.relname = 'carried_' || carried.oid
    ),
    steps as (
        select 1 as step, 0 as place, taking_off as statement
        from depending where taking_off is not null
        union all
        select 2, - depth, format('drop %s %s', words ->> kind, named)
        from relations where not stays
        union all
        select 3, place, statement from renamed
        union all
        select 3, 2, altering where altering is not null
        union all
        select 4, 0, statement from hung where kind = 'constraint'
        union all
        select 5, place, format(
            'create %s %s as %s%s', words ->> kind, named, sql,
            case when kind = 'm' then ' with no data' end
        )
        from views
        union all
        select 6, case kind when 'owner' then 2 when 'identity' then 1 else 0 end, statement
        from hung where kind <> 'constraint'
        union all
        select 7, 0, putting_back
        from depending where kind = 'function' and taking_off is not null
        union all
        select 8, depth, format('refresh materialized view %s', named)
        from relations where kind = 'm' and is_populated
        union all
        select 9, 0, putting_back
        from depending where kind <> 'function' and taking_off is not null
    )
    select array_agg(steps.statement order by step, place) into statements from steps;

    set local check_function_bodies = off;
    foreach next_one in array coalesce(statements, '{}') loop
        call {{ maintenance }}.run_for_users(next_one);
    end loop;
    perform set_config('check_function_bodies', bodies_checked, true);
end
$$;

-- Runs a statement of swap(), and names it where it fails.
create or replace procedure {{ maintenance }}.run_for_users(statement text)
language plpgsql as $$
begin
    execute statement;
exception
    when insufficient_privilege then
        raise exception '%: %; have % own it, or take it away until this is deployed',
            split_part(statement, ' as ', 1), sqlerrm, current_user;
    when syntax_error_or_access_rule_violation or dependent_objects_still_exist
        or integrity_constraint_violation or object_not_in_prerequisite_state then
        raise exception '%: %', split_part(statement, ' as ', 1), sqlerrm;
end
$$;
{% endmacro %}
