/** L: the copy without an end, under the guarantee that is asked for. */
import { defineJob } from 'millrace'
import { DeliveryGuarantee } from 'millrace/kafka'
import { buildCopy } from './copy.ts'

export default defineJob('latency', async (env, params) => {
  const exactlyOnce = params.get('exactly-once', false)
  const guarantee = exactlyOnce ? DeliveryGuarantee.EXACTLY_ONCE : DeliveryGuarantee.AT_LEAST_ONCE
  await buildCopy(env, params, { guarantee, bounded: false })
})
