/**
 * What of the running kernel a BPF object needs before it is worth loading.
 *
 * @module
 */

/** Something of the running kernel that a set of hooks needs. */
export type Need =
  /** A tracepoint with at least `arguments` arguments, by the kernel's BTF (`btf_trace_NAME`). */
  | { readonly tracepoint: string; readonly arguments: number }
  /** A function that fentry can attach to: in BTF and in the list of traceable functions. */
  | { readonly fentry: string }
  /** A function whose end fexit can attach to, which is where fentry can. */
  | { readonly fexit: string }
  /** A function that nothing attaches to, and that tells what the kernel lets programs call. */
  | { readonly function: string }
  /** A function that a kprobe can attach to. */
  | { readonly kprobe: string }
  /** A BPF iterator, by its name after `bpf_iter_`. */
  | { readonly iterator: string }
  /** Links of programs to the root cgroup, for the packets that sockets send or receive. */
  | { readonly cgroup: "egress" | "ingress" };
