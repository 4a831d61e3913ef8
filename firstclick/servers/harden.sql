-- Takes from every role but the owner of this database what PostgreSQL lets everybody
-- do and the pipeline's readers could do harm by. `firstclick up` runs it on a server of
-- its own. On a server that DATABASE_URL names, run it as a superuser in that database:
--
--     psql --dbname shop --file harden.sql

do $$
declare
    -- A template's owner is not that of the databases which are made after it
    owner constant text := coalesce(
        current_setting('firstclick.owner', true),
        (
            select pg_get_userbyid(datdba) from pg_database
            where datname = current_database()
        )
    );
    function regprocedure;
begin
    -- Tables of their own would fill the disk
    execute format('revoke temporary on database %I from public', current_database());

    for function in
        select oid from pg_proc
        where pronamespace = 'pg_catalog'::regnamespace
            and has_function_privilege('public', oid, 'execute')
            and (
                -- The writers take an advisory lock
                proname ~ '^pg_(try_)?advisory_'
                -- Large objects fill the disk, and so do records in the log
                or proname ~ '^(lo_|loread$|lowrite$)'
                or proname in ('pg_logical_emit_message', 'pg_export_snapshot')
                -- Transactions' numbers are used up, and make everybody's snapshots
                -- dear
                or proname in ('pg_current_xact_id', 'txid_current')
                -- Several people may share a role
                or proname in ('pg_terminate_backend', 'pg_cancel_backend')
            )
    loop
        execute format('revoke execute on function %s from public', function);
        execute format('grant execute on function %s to %I', function, owner);
    end loop;

    -- With these the owner limits the readers' files for sorting, and what they write
    -- into the server's log
    execute format(
        'grant set on parameter temp_file_limit, log_min_messages to %I', owner
    );
end
$$;
