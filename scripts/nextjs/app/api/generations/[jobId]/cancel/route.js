// POST: cancels a job; a call that runs is aborted within two seconds. 200 with the job, 409 if it has ended.
import { forward, withJob } from '@/lib/safelight';

export async function POST(request, { params }) {
  const { jobId } = await params;
  return withJob(request, jobId, (job) => forward(request, job, 'cancel'));
}
