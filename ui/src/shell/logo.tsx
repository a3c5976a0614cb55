// A table mountain that stands alone.
export function Logo({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      {/* Lighter than the page when that is dark, so that the mountain keeps its plate. */}
      <rect width="32" height="32" rx="7" style={{ fill: 'light-dark(#16202c, #2b3b4e)' }} />
      <path d="M9 10.5l1.5-1.5h9l3 1 1.5 9.5H7.5z" fill="#6cb2ff" />
      <path d="M2.5 25l5-6.5 3.5-1 4 2 5-2.5 4 1.5 5.5 6.5z" fill="#3fcf8e" />
    </svg>
  );
}
