// One version of Apache Kafka on this machine: its jars, fetched once by Maven into a cache folder, and beside them the
// compiled KafkaTools and an archive of the classes a small server loads, which halves the time to start. A version from before
// 3.9 runs on ZooKeeper here, and is served by the newest Java clients.
//
// What always holds: each part is made under a temporary name and put in its place by one rename, so that what is there
// is whole, also when two processes make it at the same time or one is killed while doing so.

import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand } from './command.ts'
import { withFileLock } from './file-lock.ts'
import { KafkaServerError } from './kafka-server-error.ts'

/**
 * The versions the project is tested with: the newest, the newest of the last line that still knows ZooKeeper, and the oldest
 * line that Kafka's own newest clients speak to.
 */
export const KAFKA_VERSIONS: { readonly newest: string; readonly older: string; readonly oldest: string } = {
  newest: '4.3.1',
  older: '3.9.2',
  oldest: '2.1.1',
}

/** Before 3.9 the storage of a KRaft node can be formatted only by a program of its own, and before 3.3 KRaft was a preview. */
const KRAFT_SINCE = [3, 9] as const
/** The first ZooKeeper client that connects under Java 14 and later (ZOOKEEPER-3779) and has the interface of the older ones. */
const ZOOKEEPER = '3.5.9'
const SLF4J = '1.7.36'
const JAVA_MIN = 17
const FETCH_TIMEOUT_MS = 10 * 60_000
const COMPILE_TIMEOUT_MS = 120_000
const STALE_MS = 24 * 3_600_000
const JAVA_ADVICE = `A Java Development Kit ${JAVA_MIN} or newer is needed: put \`java\` on the PATH or set JAVA_HOME.`
const MAVEN_ADVICE =
  'Apache Maven fetches the jars of Apache Kafka once: put `mvn` on the PATH and let it reach a Maven repository, ' +
  'or copy a filled cache folder and name it in MILLRACE_CACHE_DIR.'

export interface KafkaInstallation {
  readonly version: string
  readonly java: string
  /** Of KafkaTools, with Java clients of this version, or of the newest when this one is from before 3.9. */
  readonly classpath: string
  /** What runs a broker. */
  readonly node: {
    readonly keeper: 'kraft' | 'zookeeper'
    readonly main: 'KafkaTools' | 'ZooKeeperNode'
    readonly classpath: string
  }
  /** Where the class archive lies once it is made. */
  readonly archive: string
  /** The folder of this version in the cache. */
  readonly directory: string
}

const installations = new Map<string, Promise<KafkaInstallation>>()

/** Finds or makes the installation of a version; the first call for a version needs Maven and the network. */
export function installKafka(version: string): Promise<KafkaInstallation> {
  let installation = installations.get(version)
  if (installation === undefined) {
    installation = install(version)
    installations.set(version, installation)
    // A failed attempt is not remembered: the next one may find the network again.
    installation.catch(() => installations.delete(version))
  }
  return installation
}

/** `MILLRACE_CACHE_DIR`, else `millrace` in the user's cache folder. */
export function cacheDirectory(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const own = environment.MILLRACE_CACHE_DIR
  if (own !== undefined && own !== '') return own
  const shared = environment.XDG_CACHE_HOME
  return join(shared !== undefined && shared !== '' ? shared : join(homedir(), '.cache'), 'millrace')
}

async function install(version: string): Promise<KafkaInstallation> {
  if (!/^[0-9]+(\.[0-9]+){2}(-[0-9A-Za-z.]+)?$/.test(version)) {
    throw new KafkaServerError('OPTION_INVALID', `version: '${version}' is not a version of Apache Kafka like 4.3.1`)
  }
  if (process.platform === 'win32') {
    throw new KafkaServerError('NOT_SUPPORTED', 'KafkaServer needs signals and a shell: run it under WSL on Windows')
  }
  const java = await findJava()
  if (usesKRaft(version)) {
    const { classpath, key, directory } = await prepare(version, 'KafkaTools', kraftPom(version), java)
    const node = { keeper: 'kraft', main: 'KafkaTools', classpath } as const
    return { version, java: java.path, classpath, node, archive: join(directory, `classes-${key}.jsa`), directory }
  }
  const { classpath } = await prepare(version, 'ZooKeeperNode', zooKeeperPom(version), java)
  const newest = await installKafka(KAFKA_VERSIONS.newest)
  return { ...newest, version, node: { keeper: 'zookeeper', main: 'ZooKeeperNode', classpath } }
}

function usesKRaft(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > KRAFT_SINCE[0] || (major === KRAFT_SINCE[0] && minor >= KRAFT_SINCE[1])
}

interface Java {
  readonly path: string
  readonly version: string
}

/** The jars of a version, and a program of ours compiled against them. */
async function prepare(
  version: string,
  program: 'KafkaTools' | 'ZooKeeperNode',
  pom: string,
  java: Java,
): Promise<{ readonly classpath: string; readonly key: string; readonly directory: string }> {
  const directory = join(cacheDirectory(), 'kafka', version)
  mkdirSync(directory, { recursive: true })
  const lib = join(directory, 'lib')
  const source = fileURLToPath(new URL(`./${program}.java`, import.meta.url))
  const key = createHash('sha256').update(readFileSync(source)).update(java.version).digest('hex').slice(0, 16)
  const tools = join(directory, `tools-${key}.jar`)
  if (!existsSync(lib) || !existsSync(tools)) {
    await withFileLock(join(directory, 'lock'), FETCH_TIMEOUT_MS, async () => {
      if (!existsSync(lib)) await fetchJars(version, pom, directory, lib)
      if (!existsSync(tools)) await compile(java.path, source, directory, lib, tools)
      removeStale(directory, key)
    })
  }
  // The order is fixed, because the class archive is valid for exactly one class path.
  const jars = readdirSync(lib).filter((name) => name.endsWith('.jar'))
  return { classpath: [tools, ...jars.sort().map((name) => join(lib, name))].join(':'), key, directory }
}

async function findJava(): Promise<Java> {
  const home = process.env.JAVA_HOME
  const path = home !== undefined && home !== '' ? join(home, 'bin', 'java') : 'java'
  const purpose = 'Apache Kafka runs on Java'
  const version = await runCommand({
    command: path,
    args: ['-version'],
    purpose,
    advice: JAVA_ADVICE,
    timeoutMs: 60_000,
  })
  const major = Number(/version "(?:1\.)?([0-9]+)/.exec(version)?.[1] ?? 0)
  if (major < JAVA_MIN) {
    throw new KafkaServerError('NOT_SUPPORTED', `${path} is too old: ${version.split('\n')[0]}\n  ${JAVA_ADVICE}`)
  }
  return { path, version }
}

async function fetchJars(version: string, pom: string, directory: string, lib: string): Promise<void> {
  const work = join(directory, `fetch-${process.pid}-${randomUUID()}`)
  mkdirSync(work)
  try {
    writeFileSync(join(work, 'pom.xml'), pom)
    await runCommand({
      command: 'mvn',
      args: [
        ...['-q', '-B', '-f', join(work, 'pom.xml'), 'dependency:copy-dependencies'],
        ...[`-DoutputDirectory=${join(work, 'lib')}`, '-DincludeScope=runtime'],
      ],
      purpose: `Fetching the jars of Apache Kafka ${version}`,
      advice: MAVEN_ADVICE,
      timeoutMs: FETCH_TIMEOUT_MS,
    })
    putInPlace(join(work, 'lib'), lib)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function kraftPom(version: string): string {
  return pomOf(
    dependency('org.apache.kafka', 'kafka_2.13', version) + dependency('org.apache.kafka', 'kafka-tools', version),
  )
}

function zooKeeperPom(version: string): string {
  const zooKeeper = dependency('org.apache.zookeeper', 'zookeeper', ZOOKEEPER)
  return pomOf(dependency('org.apache.kafka', 'kafka_2.12', version) + (version.startsWith('2.') ? zooKeeper : ''))
}

// slf4j-simple writes warnings and errors to the standard error, where a failure message finds them; bindings that Kafka brings
// are left out, because the first one found would win.
function dependency(group: string, artifact: string, version: string): string {
  const others = ['slf4j-reload4j', 'slf4j-log4j12', 'logback-classic']
  const exclusions = others.map((other) => {
    const group = other.startsWith('slf4j') ? 'org.slf4j' : 'ch.qos.logback'
    return `<exclusion><groupId>${group}</groupId><artifactId>${other}</artifactId></exclusion>`
  })
  return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>
<exclusions>${exclusions.join('')}</exclusions></dependency>
`
}

function pomOf(dependencies: string): string {
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>millrace.local</groupId><artifactId>kafka-server</artifactId><version>1</version><dependencies>
${dependencies}${dependency('org.slf4j', 'slf4j-api', SLF4J)}${dependency('org.slf4j', 'slf4j-simple', SLF4J)}</dependencies></project>
`
}

async function compile(java: string, source: string, directory: string, lib: string, tools: string): Promise<void> {
  const work = join(directory, `compile-${process.pid}-${randomUUID()}`)
  mkdirSync(work)
  const common = { command: java, advice: JAVA_ADVICE, timeoutMs: COMPILE_TIMEOUT_MS, purpose: `Compiling ${source}` }
  try {
    const classes = join(work, 'classes')
    const jars = readdirSync(lib).map((name) => join(lib, name))
    const compiler = ['-m', 'jdk.compiler/com.sun.tools.javac.Main', '-nowarn', '-encoding', 'UTF-8']
    await runCommand({ ...common, args: [...compiler, '-d', classes, '-cp', jars.join(':'), source] })
    // A jar and not the folder, because a class archive can only be made of jars.
    const jar = join(work, 'tools.jar')
    const archiver = ['-m', 'jdk.jartool/sun.tools.jar.Main', '--create', '--file', jar]
    await runCommand({ ...common, args: [...archiver, '-C', classes, '.'] })
    putInPlace(jar, tools)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** One rename; when somebody else was faster, theirs is as good. */
export function putInPlace(made: string, place: string): void {
  try {
    renameSync(made, place)
  } catch (error) {
    if (!existsSync(place)) throw error
  }
}

/** Removes what earlier sources or JDKs left behind, once nobody can be using it any more. */
function removeStale(directory: string, key: string): void {
  for (const name of readdirSync(directory)) {
    if (name === 'lib' || name === 'lock' || name.includes(key)) continue
    const path = join(directory, name)
    if (Date.now() - statSync(path).mtimeMs > STALE_MS) rmSync(path, { recursive: true, force: true })
  }
}
