/**
 * Processes that share descriptors and TCP connections in each way there is, and what the agent and
 * the kernel's own tools count of them; for this machine's kernel and for those of guests.
 *
 * @module
 */
import { type AgentUnderTest, eventually, type Lab } from "./lab.ts";

const CONNECTIONS = 17;
const MORE_CONNECTIONS = 83;
const PATIENCE_MS = 30_000;

/** Figures of one namespace, by what they are. */
export type FileFigures = Readonly<Record<string, number | undefined>>;

/** How many descriptors a task has, and how many of them are sockets, as /proc shows them. */
function table(task: string): readonly [files: number, sockets: number] {
  const links = [...Deno.readDirSync(`/proc/${task}/fd`)].flatMap(({ name }) => {
    try {
      return [Deno.readLinkSync(`/proc/${task}/fd/${name}`)];
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return []; // closed since it was listed
      throw error;
    }
  });
  return [links.length, links.filter((link) => link.startsWith("socket:")).length];
}

/** Has processes share in the lab's right namespace; the agent's figures, and the tools'. */
export async function sharedFiles(
  lab: Lab,
  agent: AgentUnderTest,
): Promise<{ readonly found: FileFigures; readonly wanted: FileFigures }> {
  const tasks: string[] = [];
  for (const address of [lab.right.v4, lab.right.v6]) {
    const said = await lab.share(lab.right, address, 7_006, CONNECTIONS);
    const [process = "", child = "", thread = ""] = said.trim().split(" ");
    tasks.push(process, child, `${process}/task/${thread}`);
  }
  // Beyond 64 descriptors a process has a table of another kind.
  const { pid } = await lab.background(lab.right, "hold", lab.right.v6, 7_007, MORE_CONNECTIONS);
  // The third column of a socket that listens is how many may wait.
  const listening = (await lab.inside(lab.right.name, "ss", "-Htln")).trim().split("\n");
  const backlogs = listening.map((line) => Number(line.split(/ +/)[2]));
  const pod = { pod: lab.right.name };
  const look = async () => {
    // A runtime that has just started may still open and close files of its own.
    const counts = [...tasks, String(pid)].map(table);
    const wanted = {
      open: counts.reduce((sum, [files]) => sum + files, 0),
      sockets: counts.reduce((sum, [, sockets]) => sum + sockets, 0),
      established: 2 * (2 * CONNECTIONS + MORE_CONNECTIONS),
      listeners: 3,
      backlog: backlogs.reduce((sum, most) => sum + most, 0),
    };
    const metrics = await agent.metrics();
    const established = { ...pod, state: "established" };
    const found = {
      open: metrics.sum("podskoop_fd_open", pod),
      sockets: metrics.sum("podskoop_fd_sockets", pod),
      established: metrics.sum("podskoop_tcpsummary_connections", established),
      listeners: metrics.sum("podskoop_tcpsummary_listeners", pod),
      backlog: metrics.sum("podskoop_tcpsummary_accept_backlog_limit", pod),
    };
    return { found, wanted };
  };
  // A new process is known within a second.
  return await eventually(look, ({ found, wanted }) => found.open === wanted.open, PATIENCE_MS);
}
