/**
 * Preloaded into a job's process (`node --import`): listens to the joints that the process passes and does at one of them
 * what the test planned, synchronously, so that nothing happens between the joint and the death. Each pass is written down
 * first; an append that returned survives the death of the process.
 */
import { subscribe } from 'node:diagnostics_channel'
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import type { JointMessage } from '../../src/base/index.ts'
import {
  type JointPass,
  KILLER_VARIABLE,
  KILLER_WORD,
  type KillerPlan,
  type KillerRule,
  type KillerWord,
} from './killer-plan.ts'

const word: KillerWord = { throwNext: false, completedCheckpoints: 0 }
Object.assign(globalThis, { [KILLER_WORD]: word })

const text = process.env[KILLER_VARIABLE]
if (text !== undefined) listen(JSON.parse(text))

function listen(plan: KillerPlan): void {
  const passes = plan.rules.map(() => 0)
  const passed = new Set<string>()
  let attempt = 0
  subscribe('millrace:joint', (published) => {
    const message = published as JointMessage
    // A process that is killed does not leave what it compiled to the next one by itself.
    if (passed.size === 0) flushCompileCache()
    if (message.name === 'attempt-written') attempt = Number(message.detail.attempt)
    const due = plan.rules.filter((rule, index) => {
      if (!fits(rule, message) || (rule.after !== undefined && !passed.has(rule.after))) return false
      const nth = (passes[index] ?? 0) + 1
      passes[index] = nth
      return nth === rule.nth
    })
    passed.add(message.name)
    if (message.name === 'completed-written') word.completedCheckpoints++
    const seen: JointPass = {
      pid: process.pid,
      atMs: Math.round(performance.now()),
      joint: message.name,
      detail: message.detail,
    }
    if (due.length === 0) note(plan, seen)
    for (const rule of due) {
      note(plan, { ...seen, action: rule.action })
      act(rule, plan, message, attempt)
    }
  })
}

function fits(rule: KillerRule, message: JointMessage): boolean {
  if (rule.joint !== message.name) return false
  return Object.entries(rule.where ?? {}).every(([key, value]) => message.detail[key] === value)
}

function note(plan: KillerPlan, pass: JointPass): void {
  appendFileSync(plan.trace, `${JSON.stringify(pass)}\n`)
}

function act(rule: KillerRule, plan: KillerPlan, message: JointMessage, attempt: number): void {
  switch (rule.action) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL')
      break
    case 'stop':
      process.kill(process.pid, 'SIGSTOP')
      break
    case 'throw':
      word.throwNext = true
      break
    case 'break-checkpoint':
      mkdirSync(plan.directory, { recursive: true })
      writeFileSync(`${plan.directory}/chk-${message.detail.checkpoint}-${attempt}`, 'in the way')
      break
  }
}
