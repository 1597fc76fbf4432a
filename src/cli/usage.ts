/** What `millrace help` prints. */
export const USAGE = `millrace: exactly-once stream processing on Kafka

  millrace run JOB.ts [options] [-- --name value ...]   run a job; the same command resumes it after any crash
  millrace demo [--seconds N]                           see it: no Kafka needed, a job is killed again and again, nothing is lost
  millrace list [--all]                                 running jobs of this machine; with --all also those at rest in the checkpoint directory
  millrace stop JOB | cancel JOB                        end a running job by its name: with a last checkpoint, or at once
  millrace checkpoints JOB                              its checkpoints, its last runs and their failures
  millrace inspect PATH                                 what a checkpoint's folder holds: offsets, transactions, sizes
  millrace info JOB.ts [options] [-- --name value ...]  the job's graph
  millrace broker [options]                             an Apache Kafka in memory, for trying things out
  millrace help | --version

Options of run:
  -p, --parallelism N            subtasks of each operator (default 1)
      --threads N                worker threads; 0 runs all on the main thread (default: 0 with -p 1, else up to one a core)
      --fresh                    begin anew at the sources' starting offsets; settles what was completed before
  -s, --from-savepoint PATH      begin at a settled savepoint or checkpoint folder; repeated, it goes on from there
      --rewind                   with -s: go back to it again
      --allow-non-restored-state give up stored state of operators that are no longer in the job
  -D key=value                   a configuration key, e.g. -D execution.checkpointing.dir=/var/lib/millrace
      --config FILE              settings by the same keys (default: millrace.yaml beside the job, if there is one); -D wins
      --log-level LEVEL          debug, info, warn (default) or error, on standard error
      --quiet                    no progress line
      --supervise                run it in a process of its own, and start that again whenever it dies
      --cpu-prof, --heap-prof    write a profile at the end, for the developer tools of Chrome or for speedscope
      --prof-dir DIR             where profiles are written (default: the current directory)

Options of list, stop, cancel and checkpoints:
  -D, --config                   as for run (default: millrace.yaml in the current directory), for execution.checkpointing.dir

Options of broker:
      --port N                   the first node's port (default 9092; 0 takes a free one), --host ADDRESS (127.0.0.1)
      --topic NAME[:PARTITIONS]  a topic to begin with; more come into being when they are asked for
      --nodes N                  virtual nodes, each with a port of its own (default 1)
      --transaction-version 1|2  how transactions are ended (default 2)
      --memory-mb N              records beyond it are refused (default 1024)
      --debug                    say on standard error why a connection was closed

Everything after -- goes to the job as parameters.
Signals: SIGINT or SIGTERM takes a last checkpoint, commits it and stops; a second one exits at once.
Exit codes: 0 finished or stopped, 1 the job failed, 2 wrong usage or configuration.
`
