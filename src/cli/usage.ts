/** What `millrace help` prints. */
export const USAGE = `millrace: exactly-once stream processing on Kafka

  millrace run JOB.ts [options] [-- --name value ...]   run a job; the same command resumes it after any crash
  millrace help | --version

Options of run:
  -p, --parallelism N            subtasks of each operator (default 1)
      --threads N                0 or 1: all subtasks on one thread (the only choice of this version)
      --fresh                    begin anew at the sources' starting offsets; settles what was completed before
  -s, --from-savepoint PATH      begin at a settled savepoint or checkpoint folder; repeated, it goes on from there
      --rewind                   with -s: go back to it again
      --allow-non-restored-state give up stored state of operators that are no longer in the job
  -D key=value                   a configuration key, e.g. -D execution.checkpointing.dir=/var/lib/millrace
      --log-level LEVEL          debug, info, warn (default) or error, on standard error
      --quiet                    no progress line
      --cpu-prof, --heap-prof    write a profile at the end, for the developer tools of Chrome or for speedscope
      --prof-dir DIR             where profiles are written (default: the current directory)

Everything after -- goes to the job as parameters.
Signals: SIGINT or SIGTERM takes a last checkpoint, commits it and stops; a second one exits at once.
Exit codes: 0 finished or stopped, 1 the job failed, 2 wrong usage or configuration.
`
