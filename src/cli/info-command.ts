/** `millrace info JOB.ts`: the graph that the job file builds; nothing is opened and nothing runs. */
import type { GraphNode, JobGraph } from '../core/index.ts'
import { buildJob } from '../stream/index.ts'
import { configurationOf } from './configuration-file.ts'
import type { JobCommand } from './job-arguments.ts'
import { loadJob } from './load-job.ts'
import { tableText } from './table.ts'

export async function infoCommand(command: Extract<JobCommand, { kind: 'info' }>): Promise<number> {
  const { jobFile, configFile, jobArguments } = command
  const configuration = await configurationOf({ named: configFile, jobFile, defines: command.configuration })
  const env = await buildJob(await loadJob(jobFile), { configuration, args: jobArguments })
  process.stdout.write(graphText(env.buildGraph()))
  return 0
}

export function graphText(graph: JobGraph): string {
  const byId = new Map(graph.nodes.map((node) => [node.id, node]))
  const rows = graph.nodes.map((node) => [
    node.uid,
    node.name,
    node.kind,
    String(node.parallelism),
    node.inputs.map(({ from, partitioning, tag }) => inputText(byId.get(from), partitioning, tag)).join('; '),
  ])
  return `job ${graph.jobName}\n\n${tableText([['UID', 'NAME', 'KIND', 'PARALLELISM', 'INPUT'], ...rows])}`
}

function inputText(from: GraphNode | undefined, partitioning: string, tag: string | undefined): string {
  return `${from?.uid ?? '?'}${tag === undefined ? '' : ` (side output ${tag})`}${partitioning === 'forward' ? '' : `, ${partitioning}`}`
}
