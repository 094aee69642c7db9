/** What has a size, and a rank among others by it. Both belong to the order it is in. */
export interface Sized {
  size: number;
  rank: number;
}

/**
 * Members by their size, largest first. A size changes by one at a time: then a member only changes places with the one
 * at the edge of its equals, which costs the same however many members there are.
 */
export class SizeOrder<Member extends Sized> {
  readonly #members: Member[] = [];
  /** For each size, how many members are larger: where the members of that size begin. */
  readonly #larger: number[] = [];

  /** One of the largest members. */
  get largest(): Member | undefined {
    return this.#members[0];
  }

  /** Adds one to the size of a member; a member of size 0 is new. */
  grow(member: Member): void {
    if (member.size === 0) {
      member.rank = this.#members.length;
      this.#members.push(member);
    }
    const first = this.#larger[member.size] ?? 0;
    this.#moveTo(member, first);
    this.#larger[member.size] = first + 1;
    member.size += 1;
  }

  /** Takes one from the size of a member; a member of size 0 is no longer in the order. */
  shrink(member: Member): void {
    member.size -= 1;
    const last = (this.#larger[member.size] ?? 0) - 1;
    this.#moveTo(member, last);
    this.#larger[member.size] = last;
    if (member.size === 0) this.#members.pop();
  }

  #moveTo(member: Member, rank: number): void {
    const other = this.#members[rank];
    if (other === undefined || other === member) return;
    other.rank = member.rank;
    this.#members[other.rank] = other;
    member.rank = rank;
    this.#members[rank] = member;
  }
}
