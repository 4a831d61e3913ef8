-- Revokes privileges that PostgreSQL grants to everybody, and with which the pipeline's
-- readers could do harm, from all roles except this database's owner. `firstclick up`
-- runs it on the bundled server. If you use DATABASE_URL, run it as a superuser in that
-- database:
--
--     psql --dbname shop --file harden.sql

do $$
declare
    -- In template1, the owner of the databases created from it is not known yet, so
    -- `firstclick up` names it
    owner constant text := coalesce(
        current_setting('firstclick.owner', true),
        (
            select pg_get_userbyid(datdba) from pg_database
            where datname = current_database()
        )
    );
    function regprocedure;
begin
    -- Temporary tables could fill the disk
    execute format('revoke temporary on database %I from public', current_database());

    for function in
        select oid from pg_proc
        where pronamespace = 'pg_catalog'::regnamespace
            and has_function_privilege('public', oid, 'execute')
            and (
                -- A reader could hold the writers' advisory locks
                proname ~ '^pg_(try_)?advisory_'
                -- Large objects could fill the disk, and so could messages in the
                -- write-ahead log
                or proname ~ '^(lo_|loread$|lowrite$)'
                or proname in ('pg_logical_emit_message', 'pg_export_snapshot')
                -- Using up transaction ids makes everybody's snapshots expensive
                or proname in ('pg_current_xact_id', 'txid_current')
                -- Several people may share a role, and could end each other's sessions
                or proname in ('pg_terminate_backend', 'pg_cancel_backend')
            )
    loop
        execute format('revoke execute on function %s from public', function);
        execute format('grant execute on function %s to %I', function, owner);
    end loop;

    -- The owner uses these to limit the readers' temporary files, and their messages in
    -- the server's log
    execute format(
        'grant set on parameter temp_file_limit, log_min_messages to %I', owner
    );
end
$$;
