// GET: the job as it stands, with the images that are there. Poll it every two seconds until job.status
// is success, failed or canceled.
import { withJob } from '@/lib/safelight';

export async function GET(request, { params }) {
  const { jobId } = await params;
  return withJob(request, jobId, (job) =>
    Response.json(job, { headers: { 'cache-control': 'private, no-store' } }),
  );
}
